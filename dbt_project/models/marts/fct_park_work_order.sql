select
    city_id,
    work_order_id,
    district_id,
    park_name,
    kind,
    opened_on,
    completed_on,
    status
from {{ ref('int_park_work_order') }}
