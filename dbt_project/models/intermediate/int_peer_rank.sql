{{ config(materialized='table', pre_hook=joins_by_hash()) }}

with groups as (
    {{ peer_groups() }}
),

-- Compared are the periods of which a city that is loaded here has a figure.
periods as (
    select distinct
        groups.group_id,
        groups.group_key,
        own.metric_id,
        own.period_months,
        own.period_start
    from groups
    inner join {{ ref('int_peer_value') }} as own on groups.city_id = own.city_id
    where groups.is_loaded and groups.group_key is not null
),

has_source as (
    select distinct
        city_id,
        metric_id
    from {{ ref('int_peer_value') }}
),

members as (
    select
        periods.*,
        groups.city_id,
        definition.direction,
        version.definition_version as version_here,
        figure.months_covered,
        figure.n,
        figure.value,
        figure.definition_version,
        figure.sample,
        case
            when figure.city_id is null and has_source.city_id is null then 'no_source'
            when figure.city_id is null then 'not_covered'
            when
                figure.definition_version <> version.definition_version
                or figure.unit <> definition.unit
                then 'other_definition'
            when figure.sample is not null then 'sample'
            when figure.months_covered < periods.period_months then 'not_full'
            when figure.n < definition.min_n then 'too_few'
            when figure.value is null then 'no_value'
        end as left_out
    from periods
    inner join {{ ref('kpi_definition') }} as definition
        on periods.metric_id = definition.metric_id
    -- The version by which this warehouse computes the period's last month.
    inner join {{ ref('kpi_version') }} as version
        on
            periods.metric_id = version.metric_id
            and periods.period_start + make_interval(months => periods.period_months - 1)
            >= coalesce(version.first_month, '-infinity')
            and periods.period_start + make_interval(months => periods.period_months - 1)
            < coalesce(version.until_month, 'infinity')
    inner join groups
        on periods.group_id = groups.group_id and periods.group_key = groups.group_key
    left join has_source
        on groups.city_id = has_source.city_id and periods.metric_id = has_source.metric_id
    left join {{ ref('int_peer_value') }} as figure
        on
            groups.city_id = figure.city_id
            and periods.metric_id = figure.metric_id
            and periods.period_months = figure.period_months
            and periods.period_start = figure.period_start
),

spread as (
    select
        group_id,
        group_key,
        metric_id,
        period_months,
        period_start,
        count(*) filter (where left_out is null) as n_cities,
        count(left_out) as n_left_out,
        percentile_cont(array[0.25, 0.5, 0.75]) within group (
            order by case when left_out is null then value end
        ) as quartiles
    from members
    group by group_id, group_key, metric_id, period_months, period_start
),

-- Cities of one value share a rank, and the next one's counts them all.
ranked as (
    select
        *,
        case
            when left_out is null and direction <> 'none'
                then
                    rank() over (
                        partition by
                            group_id, group_key, metric_id, period_months, period_start, left_out
                        order by case direction when 'higher' then -value else value end
                    )
        end as rank,
        count(*) over (
            partition by
                group_id, group_key, metric_id, period_months, period_start, left_out, value
        ) as n_equal
    from members
)

select
    ranked.group_id,
    ranked.group_key,
    ranked.city_id,
    ranked.metric_id,
    ranked.period_months,
    ranked.period_start,
    ranked.months_covered,
    ranked.n,
    ranked.value,
    ranked.definition_version,
    ranked.version_here,
    ranked.sample,
    ranked.left_out,
    ranked.rank,
    spread.n_cities,
    spread.n_left_out,
    -- Of the other cities, the share that does worse; one that does as well counts half.
    case
        when spread.n_cities >= {{ min_peer_cities() }}
            then
                round(
                    100 * (spread.n_cities - ranked.rank - (ranked.n_equal - 1) / 2.0)
                    / (spread.n_cities - 1),
                    1
                )::double precision
    end as percentile,
    spread.quartiles[1] as lower_quartile,
    spread.quartiles[2] as median,
    spread.quartiles[3] as upper_quartile
from ranked
inner join spread
    on
        ranked.group_id = spread.group_id
        and ranked.group_key = spread.group_key
        and ranked.metric_id = spread.metric_id
        and ranked.period_months = spread.period_months
        and ranked.period_start = spread.period_start
