with newest as (
    {{ newest_version('demo__collisions') }}
)

select
    collision_id,
    district as stated_district_id,
    occurred_at,
    persons_injured,
    persons_killed,
    latitude,
    longitude,
    _load_id,
    _source_file,
    _source_row
from newest
