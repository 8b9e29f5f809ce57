with newest as (
    {{ newest_version('demo__rental_inspections') }}
)

select
    visit_number as inspection_id,
    district as stated_district_id,
    visited_on::timestamp as inspected_at,
    kind as inspection_type,
    result,
    case_number as case_id,
    case result when 'passed' then true when 'failed' then false end as has_passed,
    null::double precision as latitude,
    null::double precision as longitude,
    _load_id,
    _source_file,
    _source_row
from newest
