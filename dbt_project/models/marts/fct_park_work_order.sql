select
    city_id,
    work_order_id,
    district_id,
    park_name,
    kind,
    opened_on,
    completed_on,
    status
from {{ ref('stg_demo__park_work_orders') }}
