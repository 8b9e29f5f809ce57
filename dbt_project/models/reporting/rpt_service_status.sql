{{ config(materialized='view') }}

-- A view, so that a load that is kept out shows at once, without a build. Of all that dbt builds
-- only this reads the loads' record, and only this differs between two builds of the same rows.
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
        message
    from {{ source('quality', 'loads') }}
    order by city_id, source_id, load_id desc
),

-- While a load is under way, the one before it says whether the figures are stale.
ended as (
    select distinct on (city_id, source_id)
        city_id,
        source_id,
        state,
        mode
    from {{ source('quality', 'loads') }}
    where state not in ('staging', 'staged')
    order by city_id, source_id, load_id desc
),

good as (
    select
        city_id,
        source_id,
        max(finished_at) as at,
        max(load_id) filter (where state = 'accepted') as accepted_load_id
    from {{ source('quality', 'loads') }}
    where state in ('accepted', 'unchanged')
    group by city_id, source_id
),

-- The newest load of each source that the figures include.
shown as (
    select
        included.source_name,
        included.load_id::bigint as load_id
    from {{ source('quality', 'progress') }} as progress
    cross join lateral jsonb_each_text(progress.mark) as included (source_name, load_id)
    where progress.step = 'publish'
),

-- What is wrong with what a source shows now, if anything.
judged as (
    select
        catalogued.city_id,
        catalogued.source_id,
        good.at as last_good_load_at,
        case
            when ended.state in ('blocked', 'failed') then ended.state
            when good.accepted_load_id > coalesce(shown.load_id, 0) then 'not built'
            -- A folder of files is read when somebody asks; a live source has its cadence.
            when
                ended.mode = 'read'
                and good.at < now() - {{ patience('catalogued.cadence') }}
                then 'overdue'
        end as trouble
    from {{ ref('source_catalog') }} as catalogued
    left join ended
        on catalogued.city_id = ended.city_id and catalogued.source_id = ended.source_id
    left join good
        on catalogued.city_id = good.city_id and catalogued.source_id = good.source_id
    left join shown on catalogued.city_id || '.' || catalogued.source_id = shown.source_name
),

-- Which fact a source feeds, where it feeds one whose newest event tells how fresh it is.
facts as (
    select *
    from (
        values
        ('service_requests', 'service_request'),
        ('waste_tonnage', 'waste_tonnage'),
        ('collisions', 'collision'),
        ('rodent_inspections', 'inspection'),
        ('taxi_trips', 'trip'),
        ('permits', 'permit'),
        ('park_work_orders', 'park_work_order'),
        ('call_log', 'call'),
        ('collection_rounds', 'collection_round'),
        ('survey_comments', 'feedback_survey'),
        ('email_comments', 'feedback_email'),
        ('app_reviews', 'feedback_app_review'),
        ('council_comments', 'feedback_council_meeting')
    ) as known (source_id, fact)
)

select
    catalogued.city_id,
    city.city_name,
    catalogued.source_id,
    catalogued.title,
    catalogued.department_id,
    catalogued.tier,
    catalogued.owner,
    as_of.as_of,
    newest.load_id as newest_load_id,
    newest.state as newest_state,
    case
        when newest.state is null then 'Never loaded'
        when newest.state in ('staging', 'staged') then 'Loading now'
        when judged.trouble = 'blocked' and judged.last_good_load_at is null
            then 'Kept out, nothing to show'
        when judged.trouble = 'blocked' then 'Kept out, last good data shown'
        when judged.trouble = 'failed' and judged.last_good_load_at is null
            then 'Failed, nothing to show'
        when judged.trouble = 'failed' then 'Failed, last good data shown'
        when judged.trouble = 'not built' then 'Loaded, not in the figures yet'
        when judged.trouble = 'overdue' then 'Overdue, last good data shown'
        else 'Last load good'
    end as status,
    newest.at as newest_load_at,
    judged.last_good_load_at,
    judged.trouble is not null as is_stale,
    newest.rows_read,
    newest.rows_accepted,
    newest.rows_unchanged,
    newest.rows_quarantined,
    newest.message
from {{ ref('source_catalog') }} as catalogued
inner join {{ ref('city') }} as city on catalogued.city_id = city.city_id
left join newest
    on catalogued.city_id = newest.city_id and catalogued.source_id = newest.source_id
inner join judged
    on catalogued.city_id = judged.city_id and catalogued.source_id = judged.source_id
left join facts on catalogued.source_id = facts.source_id
left join {{ ref('int_as_of') }} as as_of
    on catalogued.city_id = as_of.city_id and facts.fact = as_of.fact
