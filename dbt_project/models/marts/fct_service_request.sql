select
    request.city_id,
    request.service_request_id,
    place.district_id,
    place.district_from,
    request.department_id,
    department.department_name,
    {{ service_id('request.service_name') }} as service_id,
    request.service_name,
    request.descriptor,
    request.channel,
    request.status,
    request.opened_at,
    request.closed_at,
    request.due_at,
    request.status = 'closed' as is_closed,
    round(extract(epoch from request.closed_at - request.opened_at) / 86400.0, 6)::double precision
        as days_to_close,
    request.due_at <= as_of.as_of as is_due,
    -- Open and overdue is a miss; closed at an unknown time is neither.
    case
        when request.status = 'closed' then request.closed_at <= request.due_at
        when request.due_at <= as_of.as_of then false
    end as is_closed_on_time,
    request.latitude,
    request.longitude
from {{ ref('int_service_request') }} as request
inner join {{ ref('int_as_of') }} as as_of
    on request.city_id = as_of.city_id and as_of.fact = 'service_request'
left join {{ ref('int_point_district') }} as place
    on
        request.city_id = place.city_id
        and place.subject = 'service_request'
        and request.service_request_id = place.subject_id
left join {{ ref('dim_department') }} as department
    on
        request.city_id = department.city_id
        and request.department_id = department.department_id
