with newest as (
    {{ newest_version('nyc__community_districts') }}
)

select
    boro_cd as district_id,
    case left(boro_cd, 1)
        when '1' then 'Manhattan'
        when '2' then 'Bronx'
        when '3' then 'Brooklyn'
        when '4' then 'Queens'
        when '5' then 'Staten Island'
    end || ' ' || right(boro_cd, 2) as district_name,
    -- The city counts residents in district_population.
    null::bigint as population,
    -- From 26 on: parks and airports, which no community board represents.
    right(boro_cd, 2)::integer < 26 as is_residential,
    geometry,
    _load_id,
    _source_file,
    _source_row
from newest
