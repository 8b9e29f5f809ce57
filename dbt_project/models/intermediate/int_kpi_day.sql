-- Made from dbt_project/indicators/: another indicator is a declaration there.
{{ kpi_days() }}
