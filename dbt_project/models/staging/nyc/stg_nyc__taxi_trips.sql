with newest as (
    {{ newest_version('nyc__taxi_trips') }}
)

select
    _source_file || ':' || _source_row as trip_id,
    pickup_datetime as picked_up_at,
    dropoff_datetime as dropped_off_at,
    pickup_location_id as pickup_zone_id,
    dropoff_location_id as dropoff_zone_id,
    trip_distance as distance_miles,
    passenger_count as passengers,
    total_amount,
    _load_id,
    _source_file,
    _source_row
from newest
