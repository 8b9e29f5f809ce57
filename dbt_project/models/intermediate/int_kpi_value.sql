{#
  The planner cannot know how many rows a common table expression has. Left alone it joins every
  event with every period of its metric, which `materialized` below keeps it from, or loops:
  minutes where joins by hash on the month take a second.
#}
{{ config(
    materialized='table',
    pre_hook=joins_by_hash(),
) }}

with metrics as (
    select
        as_of.city_id,
        as_of.as_of,
        definition.*
    from {{ ref('kpi_definition') }} as definition
    inner join {{ ref('int_as_of') }} as as_of on definition.fact = as_of.fact
),

quantiles (metric_id, sample_id, quantile) as (
    values {{ kpi_quantiles() }}
),

days as materialized (
    select
        counted.city_id,
        counted.metric_id,
        date_trunc('month', counted.event_on::timestamp)::date as month,
        counted.event_on as day,
        -- A stock has days on which rows come, and on which they leave.
        sum(counted.n) as n
    from {{ ref('int_kpi_day') }} as counted
    inner join metrics
        on
            counted.city_id = metrics.city_id
            and counted.metric_id = metrics.metric_id
            and counted.event_on <= metrics.as_of::date
    group by counted.city_id, counted.metric_id, counted.event_on
),

neighbours as (
    select
        *,
        day - lag(day) over by_day as days_since,
        lead(day) over by_day - day as days_until,
        count(*) over (partition by city_id, metric_id) as n_days
    from days
    window by_day as (partition by city_id, metric_id order by day)
),

usual as (
    select
        city_id,
        metric_id,
        greatest(7, 3 * percentile_cont(0.5) within group (order by days_since)) as gap
    from neighbours
    group by city_id, metric_id
),

-- What the source covers: spans of days with events, none more than a month from the one before.
-- A day or two of events far away from all others are no span, where there are enough days to say
-- what is usual.
dense_days as (
    select
        neighbours.city_id,
        neighbours.metric_id,
        neighbours.day,
        -- A report of a month covers it, whatever day it bears.
        case
            when metrics.event_grain = 'month'
                then (neighbours.month + interval '1 month')::date - 1
            else neighbours.day
        end as last_day,
        coalesce(
            neighbours.day
            - lag(neighbours.day) over (
                partition by neighbours.city_id, neighbours.metric_id order by neighbours.day
            ) > greatest(31, usual.gap),
            true
        ) as begins_span
    from neighbours
    inner join usual
        on neighbours.city_id = usual.city_id and neighbours.metric_id = usual.metric_id
    inner join metrics
        on neighbours.city_id = metrics.city_id and neighbours.metric_id = metrics.metric_id
    where
        neighbours.n_days < 30
        or neighbours.n >= 3
        or neighbours.days_since <= usual.gap
        or neighbours.days_until <= usual.gap
),

numbered as (
    select
        *,
        count(*) filter (where begins_span) over (
            partition by city_id, metric_id order by day
        ) as span
    from dense_days
),

spans as (
    select
        city_id,
        metric_id,
        min(day) as first_day,
        max(last_day) as last_day
    from numbered
    group by city_id, metric_id, span
),

-- A month without events has no row, rather than zeros. One is complete when a span reaches from
-- its first week into its last one: what begins or ends inside it, or is a single record, covers no
-- month.
months as (
    select
        days.city_id,
        days.metric_id,
        metrics.as_of,
        days.month,
        version.definition_version,
        metrics.as_of::date + 1
        >= (days.month + interval '1 month')::date + coalesce(metrics.settle_days, 0)
        and coalesce(bool_or(
            spans.first_day < days.month + interval '7 days'
            and spans.last_day >= days.month + interval '1 month' - interval '7 days'
        ), false) as is_complete
    from (
        select distinct
            city_id,
            metric_id,
            month
        from days
    ) as days
    inner join metrics on days.city_id = metrics.city_id and days.metric_id = metrics.metric_id
    inner join {{ ref('kpi_version') }} as version
        on
            days.metric_id = version.metric_id
            and days.month >= coalesce(version.first_month, '-infinity')
            and days.month < coalesce(version.until_month, 'infinity')
    left join spans on days.city_id = spans.city_id and days.metric_id = spans.metric_id
    group by
        days.city_id,
        days.metric_id,
        metrics.as_of,
        metrics.settle_days,
        days.month,
        version.definition_version
),

newest as (
    select
        city_id,
        metric_id,
        as_of,
        max(month) filter (where is_complete) as last_month,
        (array_agg(definition_version order by month desc) filter (where is_complete))[1]
            as definition_version
    from months
    group by city_id, metric_id, as_of
),

grains as (
    select
        city_id,
        metric_id,
        as_of,
        'month' as period_grain,
        month as period_start,
        month as first_month,
        month as last_month,
        1 as n_months,
        is_complete,
        definition_version
    from months
    union all
    select
        months.city_id,
        months.metric_id,
        months.as_of,
        'trailing_12_months' as period_grain,
        (newest.last_month - interval '11 months')::date as period_start,
        min(months.month) as first_month,
        newest.last_month,
        count(*) as n_months,
        true as is_complete,
        newest.definition_version
    from months
    inner join newest
        on
            months.city_id = newest.city_id
            and months.metric_id = newest.metric_id
            and months.month > newest.last_month - interval '12 months'
            and months.month <= newest.last_month
            and months.is_complete
            -- What two versions of a definition computed is not added up.
            and months.definition_version = newest.definition_version
    -- A stock is what there is at a month's end, of whatever year.
    where
        months.metric_id not in (
            select stock.metric_id
            from {{ ref('kpi_definition') }} as stock
            where stock.is_stock
        )
    group by
        months.city_id,
        months.metric_id,
        months.as_of,
        newest.last_month,
        newest.definition_version
),

-- Numbered, because what follows groups by a number faster than by texts.
periods as materialized (
    select
        *,
        row_number() over ()::integer as period_id
    from grains
),

-- By equality, because a join on a range would compare every event with every period.
period_months as materialized (
    select
        periods.city_id,
        periods.metric_id,
        periods.period_id,
        months.month
    from periods
    inner join months
        on
            periods.city_id = months.city_id
            and periods.metric_id = months.metric_id
            and months.month between periods.period_start and periods.last_month
            and (
                months.is_complete and periods.definition_version = months.definition_version
                or periods.period_grain = 'month'
            )
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

-- Events without a district, or without a department, count in the city's total only.
sums as (
    select
        periods.period_id,
        case when grouping(event.district_id) = 1 then '*' else event.district_id end
            as district_id,
        case when grouping(event.department_id) = 1 then '*' else event.department_id end
            as department_id,
        sum(event.n)::bigint as n,
        sum(event.numerator) as numerator,
        sum(event.denominator) as denominator
    from {{ ref('int_kpi_event') }} as event
    inner join period_months as periods
        on
            event.city_id = periods.city_id
            and event.metric_id = periods.metric_id
            and event.month = periods.month
    group by
        periods.period_id,
        grouping sets ((event.district_id), (event.department_id), ())
    having
        grouping(event.district_id, event.department_id) = 3
        or event.district_id is not null
        or event.department_id is not null
),

sampled as (
    select
        periods.period_id,
        case when grouping(sample.district_id) = 1 then '*' else sample.district_id end
            as district_id,
        case when grouping(sample.department_id) = 1 then '*' else sample.department_id end
            as department_id,
        count(*) as n,
        percentile_cont(array[0.5, 0.9]) within group (order by sample.sample) as found
    from (
        select
            city_id,
            sample_id,
            -- Sorted by bytes, which is faster than a language's order.
            district_id collate "C" as district_id,
            department_id collate "C" as department_id,
            month,
            sample
        from {{ ref('int_kpi_sample') }}
    ) as sample
    inner join period_months as periods
        on
            sample.city_id = periods.city_id
            and sample.sample_id = periods.metric_id
            and sample.month = periods.month
    group by
        periods.period_id,
        grouping sets ((sample.district_id), (sample.department_id), ())
    having
        grouping(sample.district_id, sample.department_id) = 3
        or sample.district_id is not null
        or sample.department_id is not null
),

-- Each metric of the same samples has periods of its own.
results as (
    select
        *,
        null::double precision as quantile_value
    from sums
    union all
    select
        own.period_id,
        sampled.district_id,
        sampled.department_id,
        sampled.n,
        null as numerator,
        null as denominator,
        sampled.found[case quantiles.quantile when 0.5 then 1 else 2 end] as quantile_value
    from sampled
    inner join periods on sampled.period_id = periods.period_id
    inner join quantiles on periods.metric_id = quantiles.sample_id
    inner join periods as own
        on
            periods.city_id = own.city_id
            and quantiles.metric_id = own.metric_id
            and periods.period_grain = own.period_grain
            and periods.period_start = own.period_start
),

department_stocks as (
    select distinct
        periods.city_id,
        periods.metric_id,
        results.department_id
    from results
    inner join periods on results.period_id = periods.period_id
    inner join {{ ref('kpi_definition') }} as definition
        on periods.metric_id = definition.metric_id
    where results.department_id <> '*' and definition.aggregate = 'stock'
),

-- A department has a cell where it has events; of a stock it has one in each period, because what
-- is there stays there.
department_periods as (
    select
        period_id,
        department_id
    from results
    where department_id <> '*'
    union
    select
        periods.period_id,
        stocks.department_id
    from department_stocks as stocks
    inner join periods
        on stocks.city_id = periods.city_id and stocks.metric_id = periods.metric_id
),

-- Each district has a cell in each period that the city covers. A department serves the whole city:
-- its rates are per resident of the city.
areas as (
    select
        periods.period_id,
        districts.district_id,
        '*' as department_id,
        districts.residents
    from periods
    inner join districts on periods.city_id = districts.city_id
    union all
    select
        periods.period_id,
        '*' as district_id,
        department_periods.department_id,
        city.population as residents
    from department_periods
    inner join periods on department_periods.period_id = periods.period_id
    inner join {{ ref('dim_city') }} as city on periods.city_id = city.city_id
),

cells as (
    select
        periods.period_id,
        periods.city_id,
        periods.metric_id,
        periods.period_grain,
        periods.period_start,
        periods.first_month,
        periods.last_month,
        periods.n_months,
        periods.is_complete,
        periods.definition_version,
        periods.as_of,
        areas.district_id,
        areas.department_id,
        definition.aggregate,
        definition.scale,
        definition.min_n,
        coalesce(results.n, 0) as n,
        case
            when definition.quantile is null then coalesce(results.numerator, 0)
        end as numerator,
        case
            when definition.aggregate in ('ratio', 'per_reporting_resident')
                then coalesce(results.denominator, 0)
            when definition.aggregate = 'per_resident'
                then areas.residents * periods.n_months
            when definition.aggregate in ('count', 'sum', 'stock') then periods.n_months
        end as denominator,
        definition.quantile,
        results.quantile_value
    from periods
    inner join areas on periods.period_id = areas.period_id
    inner join {{ ref('kpi_definition') }} as definition
        on periods.metric_id = definition.metric_id
    left join results
        on
            periods.period_id = results.period_id
            and areas.district_id = results.district_id
            and areas.department_id = results.department_id
),

-- What came and did not leave, from the first month on.
stocked as (
    select * from cells
    where aggregate <> 'stock'
    union all
    select
        period_id,
        city_id,
        metric_id,
        period_grain,
        period_start,
        first_month,
        last_month,
        n_months,
        is_complete,
        definition_version,
        as_of,
        district_id,
        department_id,
        aggregate,
        scale,
        min_n,
        (sum(n) over since_first)::bigint as n,
        sum(numerator) over since_first as numerator,
        denominator,
        quantile,
        quantile_value
    from cells
    where aggregate = 'stock'
    window since_first as (
        partition by city_id, metric_id, district_id, department_id order by period_start
    )
),

suppressed as (
    select
        stocked.*,
        -- Small numbers are noise, and would identify people.
        stocked.n > 0 and stocked.n < stocked.min_n as is_too_few,
        stocked.aggregate = 'ratio' and (
            {{ is_derivable('stocked', 'district_id', ['period_id', 'department_id'], 'min_n') }}
            or {{ is_derivable('stocked', 'department_id', ['period_id', 'district_id'], 'min_n') }}
        ) as is_derivable
    from stocked
),

-- The months of an area's year that are withheld, and the first and last that are not.
withheld as (
    {%- set hidden = '(months.is_too_few or months.is_derivable)' %}
    select
        months.city_id,
        months.metric_id,
        months.district_id,
        months.department_id,
        count(*) filter (where {{ hidden }}) as n_months,
        (sum(months.n) filter (where {{ hidden }}))::bigint as n,
        sum(months.numerator) filter (where {{ hidden }}) as numerator,
        sum(months.denominator) filter (where {{ hidden }}) as denominator,
        min(months.period_start) filter (where not {{ hidden }}) as first_kept,
        max(months.period_start) filter (where not {{ hidden }}) as last_kept
    from suppressed as months
    inner join periods as year
        on
            months.city_id = year.city_id
            and months.metric_id = year.metric_id
            and months.definition_version = year.definition_version
            and months.period_start between year.period_start and year.last_month
            and year.period_grain = 'trailing_12_months'
    where
        months.aggregate = 'ratio'
        and months.period_grain = 'month'
        and months.is_complete
    group by months.city_id, months.metric_id, months.district_id, months.department_id
    having bool_or({{ hidden }})
),

-- Indicators of which a year less its other months would give a withheld month away, or several
-- that are, all together, too few.
telling as (
    select distinct
        year.city_id,
        year.metric_id
    from suppressed as year
    inner join withheld
        on
            year.city_id = withheld.city_id
            and year.metric_id = withheld.metric_id
            and year.district_id = withheld.district_id
            and year.department_id = withheld.department_id
    where
        year.period_grain = 'trailing_12_months'
        and not (year.is_too_few or year.is_derivable)
        and (withheld.n_months = 1 or withheld.n < year.min_n)
),

-- Their years leave withheld months out, in all areas: if only one did, the city's year less those
-- of its other districts would be what it leaves out.
yearly as (
    select
        suppressed.period_id,
        suppressed.city_id,
        suppressed.metric_id,
        suppressed.period_grain,
        suppressed.period_start,
        coalesce(withheld.first_kept, suppressed.first_month) as first_month,
        suppressed.last_month,
        coalesce(withheld.last_kept, suppressed.last_month) as last_kept,
        suppressed.n_months - coalesce(withheld.n_months, 0) as n_months,
        suppressed.is_complete,
        suppressed.definition_version,
        suppressed.as_of,
        suppressed.district_id,
        suppressed.department_id,
        suppressed.scale,
        suppressed.n - coalesce(withheld.n, 0) as n,
        suppressed.numerator - coalesce(withheld.numerator, 0) as numerator,
        suppressed.denominator - coalesce(withheld.denominator, 0) as denominator,
        suppressed.quantile,
        suppressed.quantile_value,
        case
            when telling.city_id is null then suppressed.is_too_few
            else suppressed.n > 0 and suppressed.n = coalesce(withheld.n, 0)
        end as is_too_few,
        telling.city_id is null and suppressed.is_derivable as is_derivable
    from suppressed
    left join telling
        on
            suppressed.city_id = telling.city_id
            and suppressed.metric_id = telling.metric_id
            and suppressed.period_grain = 'trailing_12_months'
    left join withheld
        on
            telling.city_id = withheld.city_id
            and telling.metric_id = withheld.metric_id
            and suppressed.district_id = withheld.district_id
            and suppressed.department_id = withheld.department_id
),

valued as (
    select
        *,
        case
            when quantile is not null then round(quantile_value::numeric, 6)::double precision
            else round(numerator * scale / nullif(denominator, 0), 6)::double precision
        end as computed,
        is_too_few or is_derivable as is_suppressed
    from yearly
)

select
    city_id,
    metric_id,
    district_id,
    department_id,
    period_grain,
    period_start,
    (last_month + interval '1 month')::date as period_end,
    first_month as covered_from,
    (last_kept + interval '1 month')::date as covered_until,
    n_months as months_covered,
    is_complete,
    definition_version,
    as_of,
    n,
    case when not is_suppressed then numerator end as numerator,
    case when not is_suppressed then denominator end as denominator,
    case when not is_suppressed then computed end as value,
    case
        when is_too_few then 'too_few'
        when is_derivable then 'derivable'
        when computed is null and n = 0 then 'no_events'
        when computed is null then 'no_denominator'
    end as null_reason
from valued
