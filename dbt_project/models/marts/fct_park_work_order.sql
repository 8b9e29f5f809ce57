select
    city_id,
    work_order_id,
    district_id,
    park_name,
    kind,
    opened_on,
    completed_on,
    status
from {{ within_as_of('park_work_order') }} as park_work_order
