-- The requests behind a department's figures: what is open, and what was closed late in the
-- trailing year. Without places, and without cities whose requests are of a restricted source.
with shown as (
    select city_id
    from {{ ref('source_catalog') }}
    where feeds = 'service_request'
    group by city_id
    having bool_and(tier <> 'restricted')
),

year as (
    select
        city_id,
        period_start,
        period_end
    from {{ ref('int_kpi_value') }}
    where
        metric_id = 'closed_on_time_pct'
        and period_grain = 'trailing_12_months'
        and district_id = '*'
        and department_id = '*'
)

select
    request.city_id,
    city.city_name,
    request.department_id,
    coalesce(request.department_name, request.department_id) as department_name,
    request.service_request_id,
    request.service_name,
    request.descriptor,
    district.district_name,
    request.channel,
    case
        when request.is_open and request.is_due then 'Open, overdue'
        when request.is_open then 'Open'
        else 'Closed late'
    end as situation,
    request.opened_at,
    request.due_at,
    request.closed_at,
    round(
        extract(epoch from coalesce(request.closed_at, as_of.as_of) - request.opened_at)
        / 86400.0, 1
    )::double precision as days_open,
    case
        when coalesce(request.closed_at, as_of.as_of) > request.due_at
            then
                round(
                    extract(epoch from coalesce(request.closed_at, as_of.as_of) - request.due_at)
                    / 86400.0, 1
                )::double precision
    end as days_overdue
from {{ ref('fct_service_request') }} as request
inner join shown on request.city_id = shown.city_id
inner join {{ ref('dim_city') }} as city on request.city_id = city.city_id
inner join {{ ref('int_as_of') }} as as_of
    on request.city_id = as_of.city_id and as_of.fact = 'service_request'
left join {{ ref('dim_district') }} as district
    on request.city_id = district.city_id and request.district_id = district.district_id
left join year on request.city_id = year.city_id
where
    request.is_open
    or (
        request.is_closed
        and not request.is_closed_on_time
        and request.due_at >= year.period_start
        and request.due_at < year.period_end
    )
