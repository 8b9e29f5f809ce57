select
    city_id,
    collection_round_id,
    district_id,
    round_date,
    scheduled_stops,
    missed_stops
from {{ within_as_of('collection_round') }} as collection_round
