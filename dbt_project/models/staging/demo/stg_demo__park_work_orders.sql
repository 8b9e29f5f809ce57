with newest as (
    {{ newest_version('demo__park_work_orders') }}
)

select
    work_order_id,
    district as district_id,
    park as park_name,
    kind,
    opened_on,
    completed_on,
    status,
    _load_id,
    _source_file,
    _source_row
from newest
