with newest as (
    {{ newest_version('nyc__taxi_zones') }}
)

select
    locationid as zone_id,
    zone as zone_name,
    borough,
    _load_id,
    _source_file,
    _source_row
from newest
