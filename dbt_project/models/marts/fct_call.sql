select
    city_id,
    call_id,
    district_id,
    offered_at,
    answered,
    wait_seconds,
    talk_seconds,
    topic
from {{ within_as_of('call') }} as call
