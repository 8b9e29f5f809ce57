select
    city_id,
    collection_round_id,
    district_id,
    round_date,
    scheduled_stops,
    missed_stops
from {{ ref('int_collection_round') }}
