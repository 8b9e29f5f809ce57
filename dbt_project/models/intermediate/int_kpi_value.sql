{#
  The planner cannot know how many rows a common table expression has. Left alone it joins every
  event with every period of its metric, which `materialized` below keeps it from, or loops:
  minutes where joins by hash on the month take a second.
#}
{{ config(
    materialized='table',
    pre_hook=['set local enable_mergejoin = off', 'set local enable_nestloop = off'],
) }}

with events as (
    select
        event.*,
        date_trunc('month', event.event_at)::date as month,
        definition.aggregate,
        as_of.as_of
    from {{ ref('int_kpi_event') }} as event
    inner join {{ ref('kpi_definition') }} as definition
        on event.metric_id = definition.metric_id
    inner join {{ ref('int_as_of') }} as as_of
        on
            event.city_id = as_of.city_id
            and definition.fact = as_of.fact
            and event.event_at <= as_of.as_of
),

-- A month that a city's source does not cover has no row, rather than zeros.
months as (
    select
        city_id,
        metric_id,
        as_of,
        month,
        as_of::date + 1 >= (month + interval '1 month')::date
        -- A source that begins on the 30th, or again after a gap, does not cover that month.
        and (
            min(event_at) < month + interval '7 days'
            or lag(month) over (partition by city_id, metric_id order by month)
            is not distinct from (month - interval '1 month')::date
        ) as is_complete
    from events
    group by city_id, metric_id, as_of, month
),

newest as (
    select
        city_id,
        metric_id,
        as_of,
        max(month) filter (where is_complete) as last_month
    from months
    group by city_id, metric_id, as_of
),

periods as (
    select
        city_id,
        metric_id,
        as_of,
        'month' as period_grain,
        month as period_start,
        month as last_month,
        1 as n_months,
        is_complete
    from months
    union all
    select
        months.city_id,
        months.metric_id,
        months.as_of,
        'trailing_12_months' as period_grain,
        (newest.last_month - interval '11 months')::date as period_start,
        newest.last_month,
        count(*) as n_months,
        true as is_complete
    from months
    inner join newest
        on
            months.city_id = newest.city_id
            and months.metric_id = newest.metric_id
            and months.month > newest.last_month - interval '12 months'
            and months.month <= newest.last_month
            and months.is_complete
    group by months.city_id, months.metric_id, months.as_of, newest.last_month
),

-- By equality, because a join on a range would compare every event with every period.
period_months as materialized (
    select
        periods.city_id,
        periods.metric_id,
        periods.period_grain,
        periods.period_start,
        months.month
    from periods
    inner join months
        on
            periods.city_id = months.city_id
            and periods.metric_id = months.metric_id
            and months.month between periods.period_start and periods.last_month
            and (months.is_complete or periods.period_grain = 'month')
),

districts as (
    select
        city_id,
        district_id,
        case when is_residential then nullif(population, 0) end as residents
    from {{ ref('dim_district') }}
    union all
    select
        city_id,
        '*' as district_id,
        population as residents
    from {{ ref('dim_city') }}
),

sums as (
    select
        periods.city_id,
        periods.metric_id,
        periods.period_grain,
        periods.period_start,
        case when grouping(events.district_id) = 1 then '*' else events.district_id end
            as district_id,
        count(*) as n,
        sum(events.numerator) as numerator,
        sum(events.denominator) as denominator,
        percentile_cont(0.5) within group (order by events.sample) as median
    from events
    inner join period_months as periods
        on
            events.city_id = periods.city_id
            and events.metric_id = periods.metric_id
            and events.month = periods.month
    group by
        periods.city_id,
        periods.metric_id,
        periods.period_grain,
        periods.period_start,
        grouping sets ((events.district_id), ())
    -- Events without a district count in the city's total only.
    having grouping(events.district_id) = 1 or events.district_id is not null
),

cells as (
    select
        periods.city_id,
        periods.metric_id,
        periods.period_grain,
        periods.period_start,
        periods.last_month,
        periods.n_months,
        periods.is_complete,
        periods.as_of,
        districts.district_id,
        definition.aggregate,
        definition.scale,
        definition.min_n,
        coalesce(sums.n, 0) as n,
        case
            when definition.aggregate in ('count', 'per_resident', 'ratio')
                then coalesce(sums.numerator, 0)
        end as numerator,
        case
            when definition.aggregate = 'ratio' then coalesce(sums.denominator, 0)
            when definition.aggregate = 'per_resident'
                then districts.residents * periods.n_months
            when definition.aggregate = 'count' then periods.n_months
        end as denominator,
        sums.median
    from periods
    inner join districts on periods.city_id = districts.city_id
    inner join {{ ref('kpi_definition') }} as definition
        on periods.metric_id = definition.metric_id
    left join sums
        on
            periods.city_id = sums.city_id
            and periods.metric_id = sums.metric_id
            and periods.period_grain = sums.period_grain
            and periods.period_start = sums.period_start
            and districts.district_id = sums.district_id
)

select
    city_id,
    metric_id,
    district_id,
    period_grain,
    period_start,
    (last_month + interval '1 month')::date as period_end,
    is_complete,
    as_of,
    n,
    numerator,
    denominator,
    case
        -- Small numbers are noise, and would identify people.
        when n < min_n then null
        when aggregate = 'median' then round(median::numeric, 6)::double precision
        else round(numerator * scale / nullif(denominator, 0), 6)::double precision
    end as value
from cells
