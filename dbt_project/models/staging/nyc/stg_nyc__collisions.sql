with newest as (
    {{ newest_version('nyc__collisions') }}
)

select
    collision_id,
    null::text as stated_district_id,
    crash_date + crash_time::time as occurred_at,
    number_of_persons_injured as persons_injured,
    number_of_persons_killed as persons_killed,
    -- 0, 0 means that the place is unknown.
    nullif(latitude, 0) as latitude,
    nullif(longitude, 0) as longitude,
    _load_id,
    _source_file,
    _source_row
from newest
