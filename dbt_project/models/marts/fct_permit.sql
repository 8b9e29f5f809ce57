select
    city_id,
    permit_id,
    district_id,
    permit_type,
    applied_at,
    issued_at,
    status,
    round(extract(epoch from issued_at - applied_at) / 86400.0, 6)::double precision
        as days_to_issue
from {{ within_as_of('permit') }} as permit
