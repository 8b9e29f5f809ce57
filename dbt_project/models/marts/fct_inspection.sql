{{ config(pre_hook=joins_by_hash()) }}

select
    inspection.city_id,
    inspection.inspection_id,
    place.district_id,
    place.district_from,
    inspection.inspected_at,
    inspection.inspection_type,
    inspection.result,
    inspection.latitude,
    inspection.longitude
from {{ within_as_of('inspection') }} as inspection
left join {{ ref('int_point_district') }} as place
    on
        inspection.city_id = place.city_id
        and place.subject = 'inspection'
        and inspection.inspection_id = place.subject_id
