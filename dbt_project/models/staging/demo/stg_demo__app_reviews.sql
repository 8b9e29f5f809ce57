with newest as (
    {{ newest_version('demo__app_reviews') }}
)

select
    review_id as feedback_id,
    district as district_id,
    'app_review' as channel,
    created_at as submitted_at,
    topic,
    language,
    text,
    _load_id,
    _source_file,
    _source_row
from newest
