with newest as (
    {{ newest_version('demo__form_sessions') }}
)

select
    session_id as form_session_id,
    district as district_id,
    department as department_id,
    form,
    started_at,
    ended_at,
    outcome,
    _load_id,
    _source_file,
    _source_row
from newest
