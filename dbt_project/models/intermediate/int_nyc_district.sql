select
    district.city_id,
    district.district_id,
    district.district_name,
    people.population,
    district.is_residential,
    district.geometry
from {{ ref('stg_nyc__community_districts') }} as district
left join {{ ref('stg_nyc__district_population') }} as people
    on
        district.city_id = people.city_id
        and district.district_id = people.district_id
