with newest as (
    {{ newest_version('nyc__district_population') }}
)

select
    boro_cd as district_id,
    b01001_001e::bigint as population,
    _load_id,
    _source_file,
    _source_row
from newest
