-- The events that each metric counts, in common columns. n of a period is the number of its
-- events with a numerator or a sample; numerator and denominator are sums; `sample` is what a
-- median is taken of.
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
    'closed_on_time_pct' as metric_id,
    district_id,
    due_at as event_at,
    is_closed_on_time::integer as numerator,
    1 as denominator,
    null as sample
from {{ ref('fct_service_request') }}
where is_due and is_closed_on_time is not null

union all

select
    city_id,
    'median_days_to_close' as metric_id,
    district_id,
    closed_at as event_at,
    null as numerator,
    null as denominator,
    -- A closing by routine is no sample; but it shows that the source covers its month.
    case when not is_routine_closing then days_to_close end as sample
from {{ ref('fct_service_request') }}
where days_to_close is not null

union all

select
    city_id,
    'closed_by_routine_pct' as metric_id,
    district_id,
    closed_at as event_at,
    is_routine_closing::integer as numerator,
    1 as denominator,
    null as sample
from {{ ref('fct_service_request') }}
where days_to_close is not null

union all

-- Residents of the districts that report: of the others the tons are unknown, rather than 0.
select
    waste.city_id,
    'refuse_tons_per_1000' as metric_id,
    waste.district_id,
    waste.month_start::timestamp as event_at,
    sum(waste.refuse_tons::numeric) as numerator,
    coalesce(max(district.population) filter (where district.is_residential), 0) as denominator,
    null as sample
from {{ ref('fct_waste_tonnage') }} as waste
left join {{ ref('dim_district') }} as district
    on waste.city_id = district.city_id and waste.district_id = district.district_id
where waste.refuse_tons is not null
group by waste.city_id, waste.district_id, waste.month_start

union all

select
    city_id,
    'recycling_rate' as metric_id,
    district_id,
    month_start::timestamp as event_at,
    recycled_tons::numeric as numerator,
    total_tons::numeric as denominator,
    null as sample
from {{ ref('fct_waste_tonnage') }}
where recycled_tons is not null and disposed_tons is not null

union all

select
    city_id,
    'injury_collisions_per_10000' as metric_id,
    district_id,
    occurred_at as event_at,
    has_injury::integer as numerator,
    null as denominator,
    null as sample
from {{ ref('fct_collision') }}

union all

select
    city_id,
    'net_sentiment' as metric_id,
    district_id,
    submitted_at as event_at,
    case sentiment when 'positive' then 1 when 'negative' then -1 else 0 end as numerator,
    1 as denominator,
    null as sample
from {{ ref('fct_feedback_sentiment') }}
