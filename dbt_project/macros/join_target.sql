{#
  Joins, as `target`, the target that applied to a row's city and metric on a day: the newest from
  before it. `day`: an expression, the first day of the row's newest month.
#}
{% macro join_target(row, day) -%}
    left join lateral (
        select applicable.target
        from {{ ref('int_target') }} as applicable
        where
            applicable.city_id = {{ row }}.city_id
            and applicable.metric_id = {{ row }}.metric_id
            and applicable.from_date <= {{ day }}
        order by applicable.from_date desc
        limit 1
    ) as target on true
{%- endmacro %}
