with newest as (
    {{ newest_version('demo__email_comments') }}
)

select
    message_id as feedback_id,
    district as district_id,
    'email' as channel,
    received_at as submitted_at,
    topic,
    language,
    body as text,
    _load_id,
    _source_file,
    _source_row
from newest
