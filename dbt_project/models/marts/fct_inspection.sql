{{ config(pre_hook=joins_by_hash()) }}

select
    inspection.city_id,
    inspection.inspection_id,
    {{ district_columns() }},
    inspection.inspected_at,
    inspection.inspection_type,
    inspection.result,
    inspection.latitude,
    inspection.longitude,
    inspection.case_id,
    inspection.has_passed,
    case
        when inspection.case_id is not null then row_number() over visits = 1
    end as is_first_visit,
    case
        when inspection.case_id is not null and not inspection.has_passed
            then
                round(
                    extract(
                        epoch from lead(inspection.inspected_at) over visits
                        - inspection.inspected_at
                    ) / 86400.0, 6
                )::double precision
    end as days_to_reinspection
from {{ within_as_of('inspection') }} as inspection
{{ join_district('inspection', 'inspection') }}
window visits as (
    partition by inspection.city_id, inspection.case_id
    order by inspection.inspected_at, inspection.inspection_id
)
