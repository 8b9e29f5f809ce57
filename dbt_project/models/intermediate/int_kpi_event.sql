-- What each metric counts, in one shape. n of a period is the number of its events; numerator
-- and denominator are sums; `sample` is what a median is taken of.
select
    city_id,
    'requests_opened' as metric_id,
    district_id,
    opened_at as event_at,
    1::numeric as numerator,
    null::numeric as denominator,
    null::double precision as sample
from {{ ref('fct_service_request') }}

union all

select
    city_id,
    'closed_on_time_pct',
    district_id,
    due_at,
    is_closed_on_time::integer,
    1,
    null
from {{ ref('fct_service_request') }}
where is_due and is_closed_on_time is not null

union all

select
    city_id,
    'median_days_to_close',
    district_id,
    closed_at,
    null,
    null,
    days_to_close
from {{ ref('fct_service_request') }}
where days_to_close is not null

union all

-- Residents are those of the districts that told: one that did not is not known, rather than 0.
select
    waste.city_id,
    'refuse_tons_per_1000',
    waste.district_id,
    waste.month_start::timestamp,
    sum(waste.refuse_tons::numeric),
    coalesce(max(district.population) filter (where district.is_residential), 0),
    null
from {{ ref('fct_waste_tonnage') }} as waste
left join {{ ref('dim_district') }} as district
    on waste.city_id = district.city_id and waste.district_id = district.district_id
where waste.refuse_tons is not null
group by waste.city_id, waste.district_id, waste.month_start

union all

select
    city_id,
    'recycling_rate',
    district_id,
    month_start::timestamp,
    recycled_tons::numeric,
    total_tons::numeric,
    null
from {{ ref('fct_waste_tonnage') }}
where recycled_tons is not null and disposed_tons is not null

union all

select
    city_id,
    'injury_collisions_per_10000',
    district_id,
    occurred_at,
    has_injury::integer,
    null,
    null
from {{ ref('fct_collision') }}

union all

select
    city_id,
    'net_sentiment',
    district_id,
    submitted_at,
    case sentiment when 'positive' then 1 when 'negative' then -1 else 0 end,
    1,
    null
from {{ ref('fct_feedback_sentiment') }}
