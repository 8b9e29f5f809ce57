with newest as (
    {{ newest_version('demo__collection_rounds') }}
)

select
    round_id as collection_round_id,
    district as district_id,
    round_date,
    scheduled_stops,
    missed_stops,
    _load_id,
    _source_file,
    _source_row
from newest
