{{ config(materialized='view') }}

-- A view, so that a load that is kept out shows at once, without a build. Of all that dbt builds
-- only this reads the loads' record, and only this differs between two builds of the same rows.
with newest as (
    select distinct on (city_id, source_id)
        city_id,
        source_id,
        load_id,
        state,
        mode,
        coalesce(finished_at, started_at) as at,
        rows_read,
        rows_accepted,
        rows_unchanged,
        rows_quarantined,
        message
    from {{ source('quality', 'loads') }}
    order by city_id, source_id, load_id desc
),

last_good as (
    select
        city_id,
        source_id,
        max(finished_at) as at
    from {{ source('quality', 'loads') }}
    where state in ('accepted', 'unchanged')
    group by city_id, source_id
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
        ('survey_comments', 'feedback'),
        ('email_comments', 'feedback'),
        ('app_reviews', 'feedback'),
        ('council_comments', 'feedback')
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
        when newest.state = 'blocked' and last_good.at is null then 'Kept out, nothing to show'
        when newest.state = 'blocked' then 'Kept out, last good data shown'
        when newest.state = 'failed' and last_good.at is null then 'Failed, nothing to show'
        when newest.state = 'failed' then 'Failed, last good data shown'
        else 'Last load good'
    end as status,
    newest.at as newest_load_at,
    last_good.at as last_good_load_at,
    coalesce(newest.state in ('blocked', 'failed'), false) as is_stale,
    newest.rows_read,
    newest.rows_accepted,
    newest.rows_unchanged,
    newest.rows_quarantined,
    newest.message
from {{ ref('source_catalog') }} as catalogued
inner join {{ ref('city') }} as city on catalogued.city_id = city.city_id
left join newest
    on catalogued.city_id = newest.city_id and catalogued.source_id = newest.source_id
left join last_good
    on catalogued.city_id = last_good.city_id and catalogued.source_id = last_good.source_id
left join facts on catalogued.source_id = facts.source_id
left join {{ ref('int_as_of') }} as as_of
    on catalogued.city_id = as_of.city_id and facts.fact = as_of.fact
