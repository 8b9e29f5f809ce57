{#
  The events of the indicators that add up, as dbt_project/indicators/ declares them: those that
  share a mart and an event time are summed in one reading of it, by month and area.
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


{# What medians and percentiles are taken of; those of the same rows share them, as sample_id. #}
{% macro kpi_samples() -%}
    {%- set parts = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- for one in group.samples -%}
            {%- do parts.append(
                _stock_samples(group, one) if one.left_at else _sample_events(group, one)
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ parts | join('\n\nunion all\n\n') }}
{%- endmacro %}


{#
  On how many rows of each day an indicator rests, for what its source covers. A row that is left
  out of a sample shows that, too.
#}
{% macro kpi_days() -%}
    {%- set parts = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- do parts.append(_counted_days(group)) -%}
    {%- endfor -%}
    {{ parts | join('\n\nunion all\n\n') }}
{%- endmacro %}


{# Which quantiles are taken of which samples: rows for `values`. #}
{% macro kpi_quantiles() -%}
    {%- set rows = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- for one in group.samples -%}
            {%- for id, quantile in one.ids.items() -%}
                {%- set row = "('" ~ id ~ "', '" ~ (one.ids | first) ~ "', " ~ quantile ~ ")" -%}
                {#- Former versions of an indicator have the same. -#}
                {%- if row not in rows -%} {%- do rows.append(row) -%} {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ rows | join(', ') }}
{%- endmacro %}


{% macro _area_columns(group) -%}
    {{ 'district_id' if group.areas.district_id else 'null::text' }} as district_id,
    {{ 'department_id' if group.areas.department_id else 'null::text' }} as department_id
{%- endmacro %}


{# Where an expression is 1 for each row, its sum is the number of rows. #}
{% macro _summed_part(expression, where, name) -%}
    {%- if expression not in ('', '1') -%}
        , sum(({{ expression }})::numeric) filter (where {{ where }}) as {{ name }}
    {%- endif -%}
{%- endmacro %}


{# What leaves a stock counts less than nothing. #}
{% macro _read_part(one, part, number) -%}
    {%- set name = {'': 'null', '1': 'n_' ~ number}.get(one[part], part ~ '_' ~ number) -%}
    ({{ one.sign }} * {{ name }})::numeric
{%- endmacro %}


{% macro _summed_events(group) -%}
    select
        summed.city_id,
        metric.metric_id,
        summed.district_id,
        summed.department_id,
        summed.month,
        metric.n,
        metric.numerator,
        metric.denominator
    from (
        select
            city_id,
            {{ _area_columns(group) }},
            date_trunc('month', {{ group.event_at }})::date as month
            {%- for one in group.sums %},
            count(*) filter (where {{ one.where }}) as n_{{ loop.index }}
            {{- _summed_part(one.numerator, one.where, 'numerator_' ~ loop.index) }}
            {{- _summed_part(one.denominator, one.where, 'denominator_' ~ loop.index) }}
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
            {{ one.sign }} * n_{{ loop.index }},
            {{ _read_part(one, 'numerator', loop.index) }},
            {{ _read_part(one, 'denominator', loop.index) }}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metric (metric_id, n, numerator, denominator)
    where metric.n <> 0
{%- endmacro %}


{% macro _sample_events(group, one) -%}
    select
        city_id,
        '{{ one.ids | first }}' as sample_id,
        {{ _area_columns(group) }},
        date_trunc('month', {{ group.event_at }})::date as month,
        ({{ one.sample }})::double precision as sample
    from {{ ref(group.mart) }}
    where {{ group.event_at }} is not null and ({{ one.where }}) and ({{ one.sample }}) is not null
{%- endmacro %}


{#
  What a quantile of a stock is taken of: each row once for each month at whose end it was there, up
  to the as-of time. The sample may name that end.
#}
{% macro _stock_samples(group, one) -%}
    {%- set sample = one.sample | replace('{month_end}', 'stock_month_end') -%}
    select
        city_id,
        '{{ one.ids | first }}' as sample_id,
        {{ _area_columns(group) }},
        stock_month::date as month,
        ({{ sample }})::double precision as sample
    from (
        select
            stocked.*,
            as_of.as_of as stock_as_of
        from {{ ref(group.mart) }} as stocked
        inner join {{ ref('int_as_of') }} as as_of
            on stocked.city_id = as_of.city_id and as_of.fact = '{{ group.fact }}'
        where {{ group.event_at }} is not null and ({{ one.where }})
    ) as item
    cross join lateral (
        select
            stock_month,
            least(stock_month + interval '1 month', stock_as_of) as stock_month_end
        from generate_series(
            date_trunc('month', {{ group.event_at }}),
            coalesce(
                date_trunc('month', {{ one.left_at }}) - interval '1 month',
                date_trunc('month', stock_as_of)
            ),
            interval '1 month'
        ) as stock_month
    ) as at_month_end
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
        reported.month,
        1 as n,
        reported.amount as numerator,
        coalesce(case when district.is_residential then district.population end, 0)::numeric
            as denominator
    from (
        select
            city_id,
            district_id,
            date_trunc('month', {{ group.event_at }})::date as month,
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


{% macro _counted_days(group) -%}
    {%- set counted = [] -%}
    {%- for one in group.sums + group.reports -%}
        {%- do counted.append((one.id, one.where)) -%}
    {%- endfor -%}
    {%- for one in group.samples -%}
        {%- for id in one.ids -%} {%- do counted.append((id, one.where)) -%} {%- endfor -%}
    {%- endfor -%}
    select
        counted.city_id,
        metric.metric_id,
        counted.event_on,
        metric.n
    from (
        select
            city_id,
            ({{ group.event_at }})::date as event_on
            {%- for id, where in counted %},
            count(*) filter (where {{ where }}) as n_{{ loop.index }}
            {%- endfor %}
        from {{ ref(group.mart) }}
        where {{ group.event_at }} is not null
        group by 1, 2
    ) as counted
    cross join lateral (
        values
        {%- for id, where in counted %}
        ('{{ id }}', n_{{ loop.index }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metric (metric_id, n)
    where metric.n > 0
{%- endmacro %}
