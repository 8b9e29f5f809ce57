with newest as (
    {{ newest_version('demo__survey_comments') }}
)

select
    response_id as feedback_id,
    district as district_id,
    'survey' as channel,
    submitted_at,
    topic,
    language,
    comment as text,
    _load_id,
    _source_file,
    _source_row
from newest
