{%- set parts = [
    'requests', 'due', 'closed', 'waste', 'rounds', 'collisions', 'calls', 'feedback'
] -%}
{%- set kpis = [
    'closed_on_time_pct', 'median_days_to_close', 'refuse_tons_per_1000', 'recycling_rate',
    'missed_stops_per_10000', 'injury_collisions_per_10000', 'calls_answered_pct',
    'median_call_wait', 'net_sentiment'
] -%}

-- Residents' comments beside the work of the departments. Where a source covers a month of the
-- city, a district without rows had no events: 0. What is weighed or scheduled is null without a
-- report.
with requests as (
    select
        city_id,
        district_id,
        date_trunc('month', opened_at)::date as month,
        count(*) as requests_opened,
        count(*) filter (where is_open) as requests_still_open
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
        count(*) filter (where is_routine_closing) as requests_closed_by_routine
    from {{ ref('fct_service_request') }}
    where district_id is not null and days_to_close is not null
    group by city_id, district_id, date_trunc('month', closed_at)
),

waste as (
    select
        city_id,
        district_id,
        month_start as month,
        sum(refuse_tons::numeric) as refuse_tons
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
        count(*) filter (where answered) as calls_answered
    from {{ ref('fct_call') }}
    where district_id is not null
    group by city_id, district_id, date_trunc('month', offered_at)
),

feedback as (
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

district_part as (
    {%- for part in parts %}
        select
            city_id,
            district_id,
            month,
            '{{ part }}' as part
        from {{ part }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

covered as (
    select
        city_id,
        month,
    {%- for part in parts %}
        bool_or(part = '{{ part }}') as {{ part }}{{ ',' if not loop.last }}
    {%- endfor %}
    from district_part
    group by city_id, month
),

months as (
    select
        city_id,
        district_id,
        month
    from district_part
    union
    select
        covered.city_id,
        district.district_id,
        covered.month
    from covered
    inner join {{ ref('dim_district') }} as district on covered.city_id = district.city_id
),

completeness as (
    select
        city_id,
        period_start as month,
        bool_and(is_complete) as is_complete
    from {{ ref('int_kpi_value') }}
    where period_grain = 'month' and district_id = '*' and department_id = '*'
    group by city_id, period_start
),

-- Values are those of fct_kpi: no formula stands here.
kpi as (
    select
        city_id,
        district_id,
        period_start as month,
    {%- for kpi in kpis %}
        max(value) filter (where metric_id = '{{ kpi }}') as {{ kpi }},
        max(null_reason) filter (where metric_id = '{{ kpi }}') as {{ kpi }}_null_reason
        {{- ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('int_kpi_value') }}
    where period_grain = 'month' and district_id <> '*'
    group by city_id, district_id, period_start
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
    extract(year from months.month)::integer as year,
    coalesce(completeness.is_complete, false) as is_complete,
    residents.residents as population,
    {%- for part, count in [
        ('requests', 'requests_opened'),
        ('requests', 'requests_still_open'),
        ('due', 'requests_due'),
    ] %}
        case when covered.{{ part }} then coalesce({{ part }}.{{ count }}, 0) end as {{ count }},
    {%- endfor %}
    -- Where a KPI is suppressed, so is what it could be computed from.
    case
        when
            covered.due
            and coalesce(kpi.closed_on_time_pct_null_reason, '') not in ('too_few', 'derivable')
            then coalesce(due.requests_closed_on_time, 0)
    end as requests_closed_on_time,
    kpi.closed_on_time_pct,
    kpi.closed_on_time_pct_null_reason,
    case when covered.closed then coalesce(closed.requests_closed, 0) end as requests_closed,
    case when covered.closed then coalesce(closed.requests_closed_by_routine, 0) end
        as requests_closed_by_routine,
    kpi.median_days_to_close,
    kpi.median_days_to_close_null_reason,
    waste.refuse_tons::double precision as refuse_tons,
    kpi.refuse_tons_per_1000,
    kpi.refuse_tons_per_1000_null_reason,
    kpi.recycling_rate,
    kpi.recycling_rate_null_reason,
    rounds.scheduled_stops,
    rounds.missed_stops,
    kpi.missed_stops_per_10000,
    kpi.missed_stops_per_10000_null_reason,
    case when covered.collisions then coalesce(collisions.collisions, 0) end as collisions,
    case when covered.collisions then coalesce(collisions.injury_collisions, 0) end
        as injury_collisions,
    kpi.injury_collisions_per_10000,
    kpi.injury_collisions_per_10000_null_reason,
    case when covered.calls then coalesce(calls.calls_offered, 0) end as calls_offered,
    case
        when
            covered.calls
            and coalesce(kpi.calls_answered_pct_null_reason, '') not in ('too_few', 'derivable')
            then coalesce(calls.calls_answered, 0)
    end as calls_answered,
    kpi.calls_answered_pct,
    kpi.calls_answered_pct_null_reason,
    kpi.median_call_wait,
    kpi.median_call_wait_null_reason,
    case when covered.feedback then coalesce(feedback.comments, 0) end as comments,
    case when kpi.net_sentiment is not null then feedback.negatives end as negatives,
    case when kpi.net_sentiment is not null then feedback.positives end as positives,
    kpi.net_sentiment,
    kpi.net_sentiment_null_reason
from months
inner join covered on months.city_id = covered.city_id and months.month = covered.month
inner join {{ ref('dim_city') }} as city on months.city_id = city.city_id
left join residents
    on months.city_id = residents.city_id and months.district_id = residents.district_id
left join
    completeness
    on months.city_id = completeness.city_id and months.month = completeness.month
left join kpi
    on
        months.city_id = kpi.city_id
        and months.district_id = kpi.district_id
        and months.month = kpi.month
{%- for part in parts %}
    left join {{ part }}
        on
            months.city_id = {{ part }}.city_id
            and months.district_id = {{ part }}.district_id
            and months.month = {{ part }}.month
{%- endfor %}
