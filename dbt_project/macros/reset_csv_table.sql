{#
  A seed is emptied and filled again, so that the views on it stay; only when its columns are
  other ones it is made anew, which dbt alone would call an error.
#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- set known = adapter.get_columns_in_relation(old_relation) | map(attribute='name') | list -%}
    {%- set wanted = agate_table.column_names | list -%}
    {{ return(
        default__reset_csv_table(model, full_refresh or known != wanted, old_relation, agate_table)
    ) }}
{%- endmacro %}
