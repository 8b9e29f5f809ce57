with largest_outline as (
    select distinct on (city_id, district_id)
        city_id,
        district_id,
        -- The middle of a polygon's corners; near enough for a label.
        point(shape) as centre
    from {{ ref('int_district_polygon') }}
    where not is_hole
    order by city_id asc, district_id asc, area_square_degrees desc, polygon_number asc
)

select
    district.city_id,
    district.district_id,
    district.district_name,
    district.population,
    district.is_residential,
    round(largest_outline.centre[1]::numeric, 6)::double precision as latitude,
    round(largest_outline.centre[0]::numeric, 6)::double precision as longitude,
    district.median_household_income
from {{ ref('int_district') }} as district
left join largest_outline
    on
        district.city_id = largest_outline.city_id
        and district.district_id = largest_outline.district_id
