{#
  Refilled in place: replacing the table would drop the view on it, rpt_service_status, which a
  dashboard reads while the build runs, and after a build that failed.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}",
) }}

-- The newest event of each source. No record can be newer than the load that brought it, so what
-- is dated beyond its source's newest load, by that city's clock, is left out; so is a single
-- record far away from all others, which would move the as-of time by itself.
with load_time as (
    select
        catalogued.city_id,
        catalogued.source_id,
        -- Rows without a record of their load are there by hand, by now.
        coalesce(
            max(load.finished_at) filter (where load.state in ('accepted', 'unchanged')),
            now()
        ) at time zone city.time_zone as loaded_at
    from {{ ref('source_catalog') }} as catalogued
    inner join {{ ref('city') }} as city on catalogued.city_id = city.city_id
    left join {{ source('quality', 'loads') }} as load
        on catalogued.city_id = load.city_id and catalogued.source_id = load.source_id
    group by catalogued.city_id, catalogued.source_id, city.time_zone
),

events as (
    {%- for name, fact in timed_facts().items() %}
        select
            city_id,
            source_id,
            '{{ name }}' as fact,
            cast({{ fact.event_time }} as timestamp) as event_at
        from {{ ref('int_' ~ name) }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

days as (
    select
        events.city_id,
        events.source_id,
        events.fact,
        events.event_at::date as day,
        count(*) as n,
        count(*) filter (where events.event_at > load_time.loaded_at) as n_beyond_load,
        max(events.event_at) filter (where events.event_at <= load_time.loaded_at) as newest_at
    from events
    inner join load_time
        on events.city_id = load_time.city_id and events.source_id = load_time.source_id
    group by events.city_id, events.source_id, events.fact, events.event_at::date
),

gaps as (
    select
        city_id,
        source_id,
        day,
        n,
        day - lag(day) over neighbours as days_since,
        lead(day) over neighbours - day as days_until
    from days
    where newest_at is not null
    window neighbours as (partition by city_id, source_id order by day)
),

usual as (
    select
        city_id,
        source_id,
        count(*) as n_days,
        greatest(7, 3 * percentile_cont(0.5) within group (order by days_since)) as gap
    from gaps
    group by city_id, source_id
),

-- Judged only where the source has enough days to say what is usual.
stray as (
    select
        gaps.city_id,
        gaps.source_id,
        gaps.day
    from gaps
    inner join usual on gaps.city_id = usual.city_id and gaps.source_id = usual.source_id
    where
        usual.n_days >= 30
        and gaps.n < 3
        and coalesce(gaps.days_since > usual.gap, true)
        and coalesce(gaps.days_until > usual.gap, true)
),

reach as (
    select
        days.city_id,
        days.source_id,
        days.fact,
        max(days.newest_at) filter (where stray.day is null) as as_of
    from days
    left join stray
        on
            days.city_id = stray.city_id
            and days.source_id = stray.source_id
            and days.day = stray.day
    group by days.city_id, days.source_id, days.fact
)

select
    reach.city_id,
    reach.source_id,
    reach.fact,
    reach.as_of,
    usual.gap::integer as usual_gap_days,
    (
        select
            coalesce(sum(
                case
                    when days.day > reach.as_of::date or reach.as_of is null then days.n
                    else days.n_beyond_load
                end
            ), 0)::bigint
        from days
        where
            days.city_id = reach.city_id
            and days.source_id = reach.source_id
            and days.day is not null
    ) as n_beyond_as_of
from reach
left join usual on reach.city_id = usual.city_id and reach.source_id = usual.source_id
