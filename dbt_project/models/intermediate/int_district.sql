-- A city may count residents in a source of its own, beside its map of districts.
with district as (
    {{ union_feeds('district') }}
)

select
    district.city_id,
    district.source_id,
    district.district_id,
    district.district_name,
    coalesce(district.population, counted.population) as population,
    district.is_residential,
    district.geometry,
    coalesce(district.median_household_income, counted.median_household_income)
        as median_household_income
from district
left join {{ ref('int_district_population') }} as counted
    on
        district.city_id = counted.city_id
        and district.district_id = counted.district_id
