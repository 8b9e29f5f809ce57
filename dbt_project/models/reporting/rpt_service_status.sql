{{ config(materialized='view') }}

-- A view, so that a blocked load shows at once, without a build. It is the only model that
-- differs between two builds of the same rows.
with newest as (
    select distinct on (city_id, source_id)
        city_id,
        source_id,
        load_id,
        state,
        coalesce(finished_at, started_at) as at,
        rows_read,
        rows_accepted,
        rows_unchanged,
        rows_quarantined,
        reason_code
    from {{ source('quality', 'loads') }}
    order by city_id asc, source_id asc, load_id desc
),

-- While a load is running, the one before it says whether the figures are stale.
ended as (
    select distinct on (city_id, source_id)
        city_id,
        source_id,
        state,
        mode
    from {{ source('quality', 'loads') }}
    where state not in ('staging', 'staged')
    order by city_id asc, source_id asc, load_id desc
),

good as (
    select
        city_id,
        source_id,
        max(finished_at) as at,
        max(load_id) filter (where state = 'accepted') as accepted_load_id,
        (array_agg(mode order by load_id desc))[1] as mode
    from {{ source('quality', 'loads') }}
    where state in ('accepted', 'unchanged')
    group by city_id, source_id
),

-- The newest load of each source that the figures include.
published as (
    select
        included.source_name,
        included.load_id::bigint as load_id
    from {{ source('quality', 'progress') }} as progress
    cross join lateral jsonb_each_text(progress.mark) as included (source_name, load_id)
    where progress.step = 'publish'
),

-- How old the newest record may be: three times what the cadence allows, or a silence that is usual
-- for the source, as between reports of a month. A simulated city's calendar is its own, so there
-- the newest record of the city stands for today.
expected as (
    select
        catalogued.city_id,
        catalogued.source_id,
        as_of.as_of,
        as_of.n_beyond_as_of,
        greatest(
            3 * catalogued.max_staleness_days,
            coalesce(as_of.usual_gap_days, 0)
        ) as max_age_days,
        case
            when city.is_simulated
                then max(as_of.as_of) over (partition by catalogued.city_id)
            else now() at time zone city.time_zone
        end as seen_at
    from {{ ref('source_catalog') }} as catalogued
    inner join {{ ref('city') }} as city on catalogued.city_id = city.city_id
    left join {{ ref('int_source_as_of') }} as as_of
        on catalogued.city_id = as_of.city_id and catalogued.source_id = as_of.source_id
),

-- Why the figures lack something of a source, if they do.
checked as (
    select
        catalogued.city_id,
        catalogued.source_id,
        good.at as last_good_load_at,
        {{ sample_as_read('good', 'catalogued') }} as sample,
        case
            when ended.state in ('blocked', 'failed') then ended.state
            when good.accepted_load_id > coalesce(published.load_id, 0) then 'not built'
            -- Files of a snapshot are read when somebody asks; a live source has its cadence.
            when
                ended.mode = 'read'
                and good.at < now() - make_interval(days => catalogued.max_staleness_days)
                then 'overdue'
        end as problem
    from {{ ref('source_catalog') }} as catalogued
    left join ended
        on catalogued.city_id = ended.city_id and catalogued.source_id = ended.source_id
    left join good
        on catalogued.city_id = good.city_id and catalogued.source_id = good.source_id
    left join published
        on catalogued.city_id || '.' || catalogued.source_id = published.source_name
)

select
    catalogued.city_id,
    city.city_name,
    catalogued.source_id,
    catalogued.title,
    catalogued.department_id,
    catalogued.feeds,
    catalogued.tier,
    catalogued.owner,
    expected.as_of,
    extract(day from expected.seen_at - expected.as_of)::integer as newest_record_days,
    coalesce(
        expected.seen_at - expected.as_of > make_interval(days => expected.max_age_days), false
    ) as is_old,
    checked.sample is not null as is_sample,
    checked.sample,
    coalesce(expected.n_beyond_as_of, 0) as n_beyond_as_of,
    coalesce(quality.n_unknown_state, 0) as n_unknown_state,
    quality.unknown_states,
    quality.n_district_compared,
    quality.n_other_district,
    concat_ws(
        ' ',
        'Sample: ' || checked.sample || '.',
        case
            when expected.seen_at - expected.as_of > make_interval(days => expected.max_age_days)
                then 'Old: the newest record is of ' || expected.as_of::date || '.'
        end,
        case
            when expected.n_beyond_as_of > 0
                then
                    'Left out: ' || expected.n_beyond_as_of
                    || ' dated beyond the load, or alone far after all others.'
        end,
        'In no known state: ' || quality.unknown_states || '.',
        case
            when quality.n_other_district > 0
                then
                    'Another district than the point: ' || quality.n_other_district || ' of '
                    || quality.n_district_compared || '.'
        end
    ) as note,
    newest.load_id as newest_load_id,
    newest.state as newest_state,
    case
        when newest.state is null then 'Never loaded'
        when newest.state in ('staging', 'staged') then 'Loading now'
        when checked.problem = 'blocked' and checked.last_good_load_at is null
            then 'Blocked, nothing to show'
        when checked.problem = 'blocked' then 'Blocked, last good data shown'
        when checked.problem = 'failed' and checked.last_good_load_at is null
            then 'Failed, nothing to show'
        when checked.problem = 'failed' then 'Failed, last good data shown'
        when checked.problem = 'not built' then 'Loaded, not in the figures yet'
        when checked.problem = 'overdue' then 'Overdue, last good data shown'
        else 'Last load good'
    end as status,
    newest.at as newest_load_at,
    checked.last_good_load_at,
    checked.problem is not null as is_stale,
    newest.rows_read,
    newest.rows_accepted,
    newest.rows_unchanged,
    newest.rows_quarantined,
    newest.reason_code,
    load_reason.reason
from {{ ref('source_catalog') }} as catalogued
inner join {{ ref('city') }} as city on catalogued.city_id = city.city_id
inner join checked
    on catalogued.city_id = checked.city_id and catalogued.source_id = checked.source_id
left join newest
    on catalogued.city_id = newest.city_id and catalogued.source_id = newest.source_id
left join {{ source('quality', 'load_reason') }} as load_reason
    on newest.reason_code = load_reason.reason_code
inner join expected
    on catalogued.city_id = expected.city_id and catalogued.source_id = expected.source_id
left join {{ ref('int_source_quality') }} as quality
    on catalogued.city_id = quality.city_id and catalogued.source_id = quality.source_id
