with newest as (
    {{ newest_version('demo__council_comments') }}
)

select
    statement_id as feedback_id,
    district as district_id,
    'council_meeting' as channel,
    meeting_at as submitted_at,
    topic,
    language,
    statement as text,
    _load_id,
    _source_file,
    _source_row
from newest
