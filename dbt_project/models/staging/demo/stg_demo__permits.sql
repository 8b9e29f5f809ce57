with newest as (
    {{ newest_version('demo__permits') }}
)

select
    permit_number as permit_id,
    district as district_id,
    case permit_type
        when 'BLDG' then 'building'
        when 'ELEC' then 'electrical'
        when 'PLUM' then 'plumbing'
        when 'MECH' then 'mechanical'
        when 'DEMO' then 'demolition'
        when 'SIGN' then 'sign'
    end as permit_type,
    case status
        when 'AP' then 'applied'
        when 'RV' then 'in_review'
        when 'IS' then 'issued'
        when 'DN' then 'denied'
        when 'WD' then 'withdrawn'
    end as status,
    applied_on::timestamp as applied_at,
    issued_on::timestamp as issued_at,
    _load_id,
    _source_file,
    _source_row
from newest
