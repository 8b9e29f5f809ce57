select
    city_id,
    feedback_id,
    source_id,
    district_id,
    channel,
    submitted_at,
    topic,
    language,
    text
from {{ within_as_of('feedback') }} as feedback
