{# How a department's requests are cut: by service, by district, and whole; '*' stands for all. #}
{% macro department_cuts(rows) -%}
    grouping sets (
        ({{ rows }}.department_id, {{ rows }}.service_id),
        ({{ rows }}.department_id, {{ rows }}.district_id),
        ({{ rows }}.department_id),
        ({{ rows }}.service_id),
        ({{ rows }}.district_id),
        ()
    )
{%- endmacro %}

{# A column of a cut, or '*' where the cut is over all of its values: `bit` is its place in `cut`. #}
{% macro part_of_cut(column, bit) -%}
    case when cut & {{ bit }} > 0 then '*' else {{ column }} end
{%- endmacro %}

{# What a page shows of a part, a row of int_department_part, beside the city's target. #}
{% macro department_part_columns() -%}
    part.requests_due,
    part.closed_on_time_pct,
    part.closed_on_time_pct_null_reason,
    target.year_target as closed_on_time_pct_target,
    {{ bounded_score(
        'part.closed_on_time_pct', 'target.year_target', 'target.direction', '0'
    ) }} as closed_on_time_pct_score,
    part.requests_overdue,
    part.requests_closed_by_work,
    {{ milliseconds('part.median_days_to_close') }} as median_ms_to_close,
    {{ milliseconds('part.p90_days_to_close') }} as p90_ms_to_close,
    part.open_now,
    part.overdue_now,
    part.open_without_due_date
{%- endmacro %}

{# Joins, as `target`, the scorecard's line with the city's target that those columns are against. #}
{% macro join_on_time_target(row) -%}
    left join {{ ref('rpt_kpi_scorecard') }} as target
        on
            {{ row }}.city_id = target.city_id
            and target.metric_id = 'closed_on_time_pct'
            and target.district_id = '*'
{%- endmacro %}
