{{ config(pre_hook=joins_by_hash()) }}

-- A state that no staging model maps is unknown, and never taken for open.
with requests as (
    select
        *,
        case
            when status in ({{ known_request_states() }}) then status else 'unknown'
        end as known_status,
        closed_at - opened_at <= interval '60 seconds'
        -- Both at midnight: dates without a time of day, which cannot tell.
        and (opened_at <> date_trunc('day', opened_at) or closed_at <> date_trunc('day', closed_at))
            as is_routine_closing
    from {{ within_as_of('service_request') }} as dated
)

select
    request.city_id,
    request.service_request_id,
    {{ district_columns() }},
    request.department_id,
    department.department_name,
    {{ service_id('request.service_name') }} as service_id,
    request.service_name,
    request.descriptor,
    request.channel,
    request.known_status as status,
    request.opened_at,
    request.closed_at,
    request.due_at,
    request.known_status in ('open', 'in_progress') as is_open,
    request.known_status = 'closed' as is_closed,
    coalesce(request.is_routine_closing, false) as is_routine_closing,
    round(extract(epoch from request.closed_at - request.opened_at) / 86400.0, 6)::double precision
        as days_to_close,
    round(
        (
            {{ business_seconds('closing_day', 'request.closed_at') }}
            - ({{ business_seconds('opening_day', 'request.opened_at') }})
        )::numeric / 3600, 6
    )::double precision as business_hours_to_close,
    request.due_at <= as_of.as_of as is_due,
    -- Open and overdue is a miss. Neither a hit nor a miss: what was closed at an unknown time, was
    -- cancelled, or is in an unknown state.
    case
        when request.status = 'closed' then request.closed_at <= request.due_at
        when request.status in ('open', 'in_progress') and request.due_at <= as_of.as_of then false
    end as is_closed_on_time,
    request.latitude,
    request.longitude,
    request.first_closed_at,
    request.reopened_at,
    request.is_resolved_at_once
from requests as request
inner join {{ ref('int_as_of') }} as as_of
    on request.city_id = as_of.city_id and as_of.fact = 'service_request'
left join {{ ref('int_business_day') }} as opening_day
    on request.city_id = opening_day.city_id and request.opened_at::date = opening_day.day
left join {{ ref('int_business_day') }} as closing_day
    on request.city_id = closing_day.city_id and request.closed_at::date = closing_day.day
{{ join_district('service_request', 'request') }}
left join {{ ref('dim_department') }} as department
    on
        request.city_id = department.city_id
        and request.department_id = department.department_id
