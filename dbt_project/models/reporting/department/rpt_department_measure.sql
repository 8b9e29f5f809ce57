-- The indicators of a department: of its own records, and of what else its sources feed. The first
-- are int_kpi_value by department; the second are the whole city's, for nobody else does that work.
with scored as (
    select
        value.*,
        target.target,
        {{ bounded_score(
            'value.value', 'target.target', 'definition.direction', 'definition.score_offset'
        ) }} as score
    from {{ ref('int_kpi_value') }} as value
    inner join {{ ref('kpi_definition') }} as definition
        on value.metric_id = definition.metric_id
    {{ join_target('value', "(value.period_end - interval '1 month')::date") }}
    where value.is_complete and value.department_id <> '*' and value.district_id = '*'
),

newest as (
    select
        city_id,
        metric_id,
        max(period_start) as month
    from {{ ref('int_kpi_value') }}
    where is_complete and period_grain = 'month' and district_id = '*' and department_id = '*'
    group by city_id, metric_id
),

of_department as (
    select distinct
        city_id,
        department_id,
        metric_id
    from {{ ref('int_kpi_value') }}
    where department_id <> '*'
),

own as (
    select
        known.city_id,
        known.department_id,
        known.metric_id,
        'own records' as scope,
        newest.month,
        coalesce(month.n, 0) as n,
        month.value,
        coalesce(
            {{ measure_text('month.value', 'definition') }},
            {{ null_reason_text('month.null_reason', 'month.n', 'definition.min_n') }},
            case when newest.month is null then 'no full month' else 'none in that time' end
        ) as value_text,
        month.target,
        {{ measure_text('month.target', 'definition') }} as target_text,
        month.score,
        {{ standing_text('month.value', 'month.n', 'month.target', 'month.score', 'definition') }}
            as standing,
        {{ measure_text('before.value', 'definition') }} as year_before_text,
        year.n as year_n,
        coalesce(
            {{ year_measure_text('year.value', 'definition') }},
            {{ null_reason_text('year.null_reason', 'year.n', 'definition.min_n') }}
        ) as year_value_text,
        {{ year_text('year.covered_from', 'year.covered_until', 'year.months_covered') }}
            as year_period
    from of_department as known
    inner join {{ ref('kpi_definition') }} as definition on known.metric_id = definition.metric_id
    left join newest
        on known.city_id = newest.city_id and known.metric_id = newest.metric_id
    left join scored as month
        on
            known.city_id = month.city_id
            and known.department_id = month.department_id
            and known.metric_id = month.metric_id
            and month.period_grain = 'month'
            and newest.month = month.period_start
    left join scored as before
        on
            known.city_id = before.city_id
            and known.department_id = before.department_id
            and known.metric_id = before.metric_id
            and before.period_grain = 'month'
            and before.period_start = (newest.month - interval '1 year')::date
    -- A stock has no 12 months.
    left join scored as year
        on
            known.city_id = year.city_id
            and known.department_id = year.department_id
            and known.metric_id = year.metric_id
            and year.period_grain = 'trailing_12_months'
),

-- Of facts that do not say which department a row is of.
of_sources as (
    select distinct
        catalogued.city_id,
        catalogued.department_id,
        definition.metric_id
    from {{ ref('source_catalog') }} as catalogued
    inner join {{ ref('kpi_definition') }} as definition on catalogued.feeds = definition.fact
    where
        (catalogued.city_id, definition.metric_id) not in (
            select
                of_department.city_id,
                of_department.metric_id
            from of_department
        )
),

of_city as (
    select
        of_sources.city_id,
        of_sources.department_id,
        of_sources.metric_id,
        'whole city' as scope,
        measure.month,
        measure.n,
        measure.value,
        measure.value_text,
        measure.target,
        measure.target_text,
        measure.score,
        measure.standing,
        measure.year_before_text,
        measure.year_n,
        measure.year_value_text,
        measure.year_period
    from of_sources
    inner join {{ ref('rpt_area_measure') }} as measure
        on
            of_sources.city_id = measure.city_id
            and of_sources.metric_id = measure.metric_id
            and measure.district_id = '*'
),

measures as (
    select * from own
    union all
    select * from of_city
)

select
    measures.city_id,
    city.city_name,
    measures.department_id,
    coalesce(department.department_name, measures.department_id) as department_name,
    measures.metric_id,
    definition.metric_name,
    definition.field,
    {{ measure_name('definition') }} as measure,
    measures.scope,
    measures.month,
    measures.n,
    measures.value,
    measures.value is not null as is_known,
    measures.value_text,
    measures.target,
    measures.target_text,
    round(measures.score::numeric, 6)::double precision as score,
    measures.standing,
    measures.year_before_text,
    measures.year_n,
    measures.year_value_text,
    measures.year_period
from measures
inner join {{ ref('kpi_definition') }} as definition on measures.metric_id = definition.metric_id
inner join {{ ref('dim_city') }} as city on measures.city_id = city.city_id
left join {{ ref('dim_department') }} as department
    on
        measures.city_id = department.city_id
        and measures.department_id = department.department_id
