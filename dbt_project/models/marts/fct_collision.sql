{{ config(pre_hook=joins_by_hash()) }}

select
    collision.city_id,
    collision.collision_id,
    {{ district_columns() }},
    collision.occurred_at,
    collision.persons_injured,
    collision.persons_killed,
    coalesce(collision.persons_injured, 0) + coalesce(collision.persons_killed, 0) > 0
        as has_injury,
    collision.latitude,
    collision.longitude
from {{ within_as_of('collision') }} as collision
{{ join_district('collision', 'collision') }}
