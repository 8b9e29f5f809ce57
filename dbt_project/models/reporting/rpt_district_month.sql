-- Residents' voice beside the work of the departments.
with requests as (
    select
        city_id,
        district_id,
        date_trunc('month', opened_at)::date as month,
        count(*) as requests_opened,
        count(*) filter (where not is_closed) as requests_still_open
    from {{ ref('fct_service_request') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', opened_at)
),

due as (
    select
        city_id,
        district_id,
        date_trunc('month', due_at)::date as month,
        count(*) as requests_due,
        count(*) filter (where is_closed_on_time) as requests_closed_on_time
    from {{ ref('fct_service_request') }}
    where district_id is not null and is_due and is_closed_on_time is not null
    group by city_id, district_id, date_trunc('month', due_at)
),

closed as (
    select
        city_id,
        district_id,
        date_trunc('month', closed_at)::date as month,
        count(*) as requests_closed,
        percentile_cont(0.5) within group (order by days_to_close) as median_days_to_close
    from {{ ref('fct_service_request') }}
    where district_id is not null and days_to_close is not null
    group by city_id, district_id, date_trunc('month', closed_at)
),

waste as (
    select
        city_id,
        district_id,
        month_start as month,
        sum(refuse_tons::numeric) as refuse_tons,
        sum(recycled_tons::numeric) as recycled_tons,
        sum(total_tons::numeric) filter (where recycled_tons is not null) as weighed_tons
    from {{ ref('fct_waste_tonnage') }}
    where district_id is not null
    group by city_id, district_id, month_start
),

rounds as (
    select
        city_id,
        district_id,
        date_trunc('month', round_date::timestamp)::date as month,
        sum(scheduled_stops)::bigint as scheduled_stops,
        sum(missed_stops)::bigint as missed_stops
    from {{ ref('fct_collection_round') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', round_date::timestamp)
),

collisions as (
    select
        city_id,
        district_id,
        date_trunc('month', occurred_at)::date as month,
        count(*) as collisions,
        count(*) filter (where has_injury) as injury_collisions
    from {{ ref('fct_collision') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', occurred_at)
),

calls as (
    select
        city_id,
        district_id,
        date_trunc('month', offered_at)::date as month,
        count(*) as calls_offered,
        count(*) filter (where answered) as calls_answered,
        avg(wait_seconds) as mean_wait_seconds
    from {{ ref('fct_call') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', offered_at)
),

voice as (
    select
        city_id,
        district_id,
        date_trunc('month', submitted_at)::date as month,
        count(*) as comments,
        count(*) filter (where sentiment = 'negative') as negatives,
        count(*) filter (where sentiment = 'positive') as positives
    from {{ ref('fct_feedback_sentiment') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', submitted_at)
),

months as (
    select city_id, district_id, month from requests
    union
    select city_id, district_id, month from due
    union
    select city_id, district_id, month from closed
    union
    select city_id, district_id, month from waste
    union
    select city_id, district_id, month from rounds
    union
    select city_id, district_id, month from collisions
    union
    select city_id, district_id, month from calls
    union
    select city_id, district_id, month from voice
),

residents as (
    select
        city_id,
        district_id,
        district_name,
        case when is_residential then nullif(population, 0) end as residents
    from {{ ref('dim_district') }}
)

select
    months.city_id,
    city.city_name,
    months.district_id,
    residents.district_name,
    months.month,
    residents.residents as population,
    requests.requests_opened,
    requests.requests_still_open,
    due.requests_due,
    due.requests_closed_on_time,
    round(100.0 * due.requests_closed_on_time / due.requests_due, 6)::double precision
        as closed_on_time_pct,
    closed.requests_closed,
    round(closed.median_days_to_close::numeric, 6)::double precision as median_days_to_close,
    waste.refuse_tons::double precision as refuse_tons,
    round(waste.refuse_tons * 1000 / residents.residents, 6)::double precision
        as refuse_tons_per_1000,
    round(waste.recycled_tons / nullif(waste.weighed_tons, 0), 6)::double precision
        as recycling_rate,
    rounds.scheduled_stops,
    rounds.missed_stops,
    round(10000.0 * rounds.missed_stops / nullif(rounds.scheduled_stops, 0), 6)::double precision
        as missed_stops_per_10000,
    collisions.collisions,
    collisions.injury_collisions,
    round(10000.0 * collisions.injury_collisions / residents.residents, 6)::double precision
        as injury_collisions_per_10000,
    calls.calls_offered,
    calls.calls_answered,
    round(calls.mean_wait_seconds, 3)::double precision as mean_wait_seconds,
    voice.comments,
    voice.negatives,
    voice.positives,
    case
        when voice.comments >= floor.min_n
            then
                round((voice.positives - voice.negatives)::numeric / voice.comments, 6)
                ::double precision
    end as net_sentiment
from months
inner join {{ ref('dim_city') }} as city on months.city_id = city.city_id
left join residents
    on months.city_id = residents.city_id and months.district_id = residents.district_id
cross join (
    select min_n from {{ ref('kpi_definition') }} where metric_id = 'net_sentiment'
) as floor
{%- for part in ['requests', 'due', 'closed', 'waste', 'rounds', 'collisions', 'calls', 'voice'] %}
left join {{ part }}
    on
        months.city_id = {{ part }}.city_id
        and months.district_id = {{ part }}.district_id
        and months.month = {{ part }}.month
{%- endfor %}
