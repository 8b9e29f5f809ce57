{{ config(pre_hook=joins_by_hash()) }}

select
    permit.city_id,
    permit.permit_id,
    permit.district_id,
    permit.permit_type,
    permit.applied_at,
    permit.issued_at,
    permit.status,
    round(
        extract(epoch from permit.issued_at - permit.applied_at) / 86400.0, 6
    )::double precision as days_to_issue,
    issued_day.business_days - applied_day.business_days as business_days_to_issue
from {{ within_as_of('permit') }} as permit
left join {{ ref('int_business_day') }} as applied_day
    on permit.city_id = applied_day.city_id and permit.applied_at::date = applied_day.day
left join {{ ref('int_business_day') }} as issued_day
    on permit.city_id = issued_day.city_id and permit.issued_at::date = issued_day.day
