with newest as (
    {{ newest_version('demo__service_requests') }}
)

select
    request_id as service_request_id,
    district as stated_district_id,
    department as department_id,
    null::text as department_name,
    service_name,
    descriptor,
    channel,
    case status when 'reopened' then 'open' else status end as status,
    opened_at,
    case when status = 'closed' and closed_at >= opened_at then closed_at end as closed_at,
    due_at,
    first_closed_at,
    reopened_at,
    resolved_at_once = 'Y' as is_resolved_at_once,
    latitude,
    longitude,
    _load_id,
    _source_file,
    _source_row
from newest
