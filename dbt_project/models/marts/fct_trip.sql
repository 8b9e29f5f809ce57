{{ config(pre_hook=joins_by_hash()) }}

select
    trip.city_id,
    trip.trip_id,
    trip.picked_up_at,
    trip.dropped_off_at,
    trip.pickup_zone_id,
    pickup.zone_name as pickup_zone_name,
    pickup.borough as pickup_borough,
    trip.dropoff_zone_id,
    dropoff.zone_name as dropoff_zone_name,
    dropoff.borough as dropoff_borough,
    trip.distance_miles,
    trip.passengers,
    trip.total_amount::numeric(18, 2) as total_amount
from {{ within_as_of('trip') }} as trip
left join {{ ref('int_taxi_zone') }} as pickup
    on trip.city_id = pickup.city_id and trip.pickup_zone_id = pickup.zone_id
left join {{ ref('int_taxi_zone') }} as dropoff
    on trip.city_id = dropoff.city_id and trip.dropoff_zone_id = dropoff.zone_id
