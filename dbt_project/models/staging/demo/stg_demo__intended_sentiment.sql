with newest as (
    {{ newest_version('demo__intended_sentiment') }}
)

select
    feedback_id,
    sentiment as intended_sentiment,
    written_by,
    _load_id,
    _source_file,
    _source_row
from newest
