with newest as (
    {{ newest_version('demo__districts') }}
)

select
    district_id,
    name as district_name,
    population,
    true as is_residential,
    geometry,
    median_household_income::double precision as median_household_income,
    _load_id,
    _source_file,
    _source_row
from newest
