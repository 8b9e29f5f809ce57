{#
  The rows of a fact up to the as-of time of their source, as a subquery: what is dated beyond
  (see int_source_as_of, which counts it) is left out of every figure. A row without a time stays.
#}
{% macro within_as_of(fact) -%}
    {%- set event_time = facts()[fact].event_time -%}
    (
        select fact_row.*
        from {{ ref('int_' ~ fact) }} as fact_row
        inner join {{ ref('int_source_as_of') }} as reach
            on fact_row.city_id = reach.city_id and fact_row.source_id = reach.source_id
        where {{ event_time }} is null or {{ event_time }} <= reach.as_of
    )
{%- endmacro %}
