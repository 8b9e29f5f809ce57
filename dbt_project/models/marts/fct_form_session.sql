select
    city_id,
    form_session_id,
    district_id,
    department_id,
    form,
    started_at,
    ended_at,
    outcome,
    round(extract(epoch from ended_at - started_at) / 60.0, 6)::double precision as minutes
from {{ within_as_of('form_session') }} as form_session
