with newest as (
    {{ newest_version('demo__call_log') }}
)

select
    call_id,
    district as district_id,
    offered_at,
    answered = 'Y' as answered,
    wait_seconds,
    talk_seconds,
    queue as topic,
    _load_id,
    _source_file,
    _source_row
from newest
