{#
  The events of the indicators that add up, as dbt_project/indicators/ declares them: those that
  share a mart and an event time are summed in one reading of it, by day.
#}
{% macro kpi_events() -%}
    {%- set parts = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- if group.sums -%} {%- do parts.append(_summed_events(group)) -%} {%- endif -%}
        {%- for one in group.reports -%}
            {%- do parts.append(_report_events(group, one)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ parts | join('\n\nunion all\n\n') }}
{%- endmacro %}


{# What medians and percentiles are taken of: a row of a mart is a row. #}
{% macro kpi_samples() -%}
    {%- set parts = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- for one in group.samples -%}
            {%- do parts.append(_sample_events(group, one)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ parts | join('\n\nunion all\n\n') }}
{%- endmacro %}


{% macro _area_columns(group) -%}
    {{ 'district_id' if group.areas.district_id else 'null::text' }} as district_id,
    {{ 'department_id' if group.areas.department_id else 'null::text' }} as department_id
{%- endmacro %}


{% macro _summed_events(group) -%}
    select
        summed.city_id,
        metric.metric_id,
        summed.district_id,
        summed.department_id,
        summed.event_on,
        metric.n,
        metric.numerator,
        metric.denominator
    from (
        select
            city_id,
            {{ _area_columns(group) }},
            ({{ group.event_at }})::date as event_on
            {%- for one in group.sums %},
            count(*) filter (where {{ one.where }}) as n_{{ loop.index }},
            sum(({{ one.numerator }})::numeric) filter (where {{ one.where }})
                as numerator_{{ loop.index }}
            {%- if one.denominator %},
            sum(({{ one.denominator }})::numeric) filter (where {{ one.where }})
                as denominator_{{ loop.index }}
            {%- endif -%}
            {%- endfor %}
        from {{ ref(group.mart) }}
        where {{ group.event_at }} is not null
        group by 1, 2, 3, 4
    ) as summed
    cross join lateral (
        values
        {%- for one in group.sums %}
        (
            '{{ one.id }}',
            n_{{ loop.index }},
            numerator_{{ loop.index }},
            {{ 'denominator_' ~ loop.index if one.denominator else 'null::numeric' }}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metric (metric_id, n, numerator, denominator)
    where metric.n > 0
{%- endmacro %}


{# A row that is left out has no sample, and still shows that its source covers the day. #}
{% macro _sample_events(group, one) -%}
    select
        city_id,
        '{{ one.id }}' as metric_id,
        {{ _area_columns(group) }},
        ({{ group.event_at }})::date as event_on,
        ({{ one.sample }})::double precision as sample
    from {{ ref(group.mart) }}
    where {{ group.event_at }} is not null and ({{ one.where }})
{%- endmacro %}


{#
  Of the districts that report, the residents: of the others the amount is unknown, rather than 0.
  An event is one district's report.
#}
{% macro _report_events(group, one) -%}
    select
        reported.city_id,
        '{{ one.id }}' as metric_id,
        reported.district_id,
        null::text as department_id,
        reported.event_on,
        1 as n,
        reported.amount as numerator,
        coalesce(case when district.is_residential then district.population end, 0)::numeric
            as denominator
    from (
        select
            city_id,
            district_id,
            ({{ group.event_at }})::date as event_on,
            sum(({{ one.numerator }})::numeric) as amount
        from {{ ref(group.mart) }}
        where {{ group.event_at }} is not null and ({{ one.where }})
        group by 1, 2, 3
    ) as reported
    left join {{ ref('dim_district') }} as district
        on
            reported.city_id = district.city_id
            and reported.district_id = district.district_id
{%- endmacro %}
