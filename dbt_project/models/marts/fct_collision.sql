{{ config(pre_hook=joins_by_hash()) }}

select
    collision.city_id,
    collision.collision_id,
    place.district_id,
    place.district_from,
    collision.occurred_at,
    collision.persons_injured,
    collision.persons_killed,
    coalesce(collision.persons_injured, 0) + coalesce(collision.persons_killed, 0) > 0
        as has_injury,
    collision.latitude,
    collision.longitude
from {{ within_as_of('collision') }} as collision
left join {{ ref('int_point_district') }} as place
    on
        collision.city_id = place.city_id
        and place.subject = 'collision'
        and collision.collision_id = place.subject_id
