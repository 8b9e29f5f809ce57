{{ config(
    materialized='table',
    indexes=[{'columns': ['bounds'], 'type': 'gist'}],
) }}

-- One row a ring: GeoJSON's polygons are an outer ring and the holes in it.
with shapes as (
    select
        city_id,
        district_id,
        geometry::jsonb as geojson
    from {{ ref('int_district') }}
    where geometry is not null
),

polygons as (
    select
        shapes.city_id,
        shapes.district_id,
        polygon.number as polygon_number,
        polygon.rings
    from shapes
    cross join lateral jsonb_array_elements(
        case shapes.geojson ->> 'type'
            when 'MultiPolygon' then shapes.geojson -> 'coordinates'
            when 'Polygon' then jsonb_build_array(shapes.geojson -> 'coordinates')
            else '[]'::jsonb
        end
    ) with ordinality as polygon (rings, number)
),

rings as (
    select
        polygons.city_id,
        polygons.district_id,
        polygons.polygon_number,
        ring.number as ring_number,
        (
            select
                (
                    '(' || string_agg(
                        '(' || (corner.xy ->> 0) || ',' || (corner.xy ->> 1) || ')', ','
                        order by corner.number
                    ) || ')'
                )::polygon
            from jsonb_array_elements(ring.corners) with ordinality as corner (xy, number)
        ) as shape
    from polygons
    cross join
        lateral jsonb_array_elements(polygons.rings)
        with ordinality as ring (corners, number)
)

select
    city_id,
    district_id,
    polygon_number::integer as polygon_number,
    ring_number::integer as ring_number,
    ring_number > 1 as is_hole,
    shape,
    box(shape) as bounds,
    area(path(shape)) as area_square_degrees
from rings
