{{ config(materialized='table') }}

-- The business clock. By the city's own zone, so that a day of 23 or 25 hours has the hours that
-- its offices were open.
with days as (
    select
        city.city_id,
        city.time_zone,
        date.date_day as day,
        date.weekday::text = any(string_to_array(city.office_days, ' '))
        and holiday.day is null as is_business_day,
        (date.date_day + city.opens_at) at time zone city.time_zone as opens_at,
        (date.date_day + city.closes_at) at time zone city.time_zone as closes_at
    from {{ ref('city') }} as city
    cross join {{ ref('dim_date') }} as date
    left join {{ ref('holiday') }} as holiday
        on city.city_id = holiday.city_id and date.date_day = holiday.day
),

opened as (
    select
        city_id,
        time_zone,
        day,
        is_business_day,
        extract(epoch from opens_at)::double precision as opens_epoch,
        case when is_business_day then extract(epoch from closes_at - opens_at) else 0 end
        ::double precision as seconds
    from days
)

select
    city_id,
    time_zone,
    day,
    is_business_day,
    opens_epoch,
    seconds,
    sum(seconds) over until_now - seconds as seconds_before,
    count(*) filter (where is_business_day) over until_now as business_days
from opened
window until_now as (partition by city_id order by day)
