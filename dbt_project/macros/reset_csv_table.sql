{#
  A seed is emptied and filled again, so that the views on it stay. Only when its columns have
  changed it is created again, where dbt by itself would report an error.
#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- set present = adapter.get_columns_in_relation(old_relation) | map(attribute='name') | list -%}
    {%- set wanted = agate_table.column_names | list -%}
    {{ return(
        default__reset_csv_table(model, full_refresh or present != wanted, old_relation, agate_table)
    ) }}
{%- endmacro %}
