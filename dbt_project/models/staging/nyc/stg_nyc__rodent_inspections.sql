with newest as (
    {{ newest_version('nyc__rodent_inspections') }}
)

select
    job_ticket_or_work_order_id as inspection_id,
    null::text as stated_district_id,
    inspection_date as inspected_at,
    inspection_type,
    result,
    nullif(latitude, 0) as latitude,
    nullif(longitude, 0) as longitude,
    _load_id,
    _source_file,
    _source_row
from newest
