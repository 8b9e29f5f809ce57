with newest as (
    {{ newest_version('demo__capital_reports') }}
)

select
    to_char(reported_on, 'YYYY-MM') || ':' || project as capital_report_id,
    project as capital_project_id,
    district as district_id,
    department as department_id,
    reported_on,
    budget as budget_amount,
    committed as committed_amount,
    spent as spent_amount,
    planned_end as planned_end_on,
    expected_end as expected_end_on,
    _load_id,
    _source_file,
    _source_row
from newest
