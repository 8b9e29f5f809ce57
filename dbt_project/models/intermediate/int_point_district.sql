{{ config(materialized='table') }}

-- The district that a subject's source states, where there is such a district; else the one
-- that its point lies in.
with stated as (
    select
        subject.city_id,
        subject.subject,
        subject.subject_id,
        subject.latitude,
        subject.longitude,
        district.district_id as stated_district_id
    from {{ ref('int_located_subject') }} as subject
    left join {{ ref('int_district') }} as district
        on
            subject.city_id = district.city_id
            and subject.stated_district_id = district.district_id
),

points as (
    select distinct
        city_id,
        latitude,
        longitude
    from stated
    where stated_district_id is null and latitude is not null and longitude is not null
),

-- A polygon of thousands of corners is kept compressed, out of line, and would be unpacked again
-- for every point that it is asked for: here each is unpacked once. In millionths of a degree,
-- because PostgreSQL takes as on a line what is near it by 1e-6 of a product of two lengths: in
-- degrees that is up to 40 m, and both districts would have the point.
outlines as materialized (
    select
        city_id,
        district_id,
        polygon_number,
        ring_number,
        is_hole,
        polygon(path(shape) * point(1000000, 0)) as shape
    from {{ ref('int_district_polygon') }}
),

-- Boxes first, by the index; then the polygon itself.
in_box as materialized (
    select
        points.city_id,
        points.latitude,
        points.longitude,
        ring.district_id,
        ring.polygon_number,
        ring.ring_number
    from points
    inner join {{ ref('int_district_polygon') }} as ring
        on
            points.city_id = ring.city_id
            and ring.bounds @> box(
                point(points.longitude, points.latitude),
                point(points.longitude, points.latitude)
            )
),

in_polygon as (
    select
        in_box.city_id,
        in_box.latitude,
        in_box.longitude,
        in_box.district_id
    from in_box
    inner join outlines
        on
            in_box.city_id = outlines.city_id
            and in_box.district_id = outlines.district_id
            and in_box.polygon_number = outlines.polygon_number
            and in_box.ring_number = outlines.ring_number
    where outlines.shape @> point(in_box.longitude * 1000000, in_box.latitude * 1000000)
    group by
        in_box.city_id,
        in_box.latitude,
        in_box.longitude,
        in_box.district_id,
        in_box.polygon_number
    having not bool_or(outlines.is_hole)
),

located as (
    select
        city_id,
        latitude,
        longitude,
        -- A point on the line between two districts belongs to the first by id, always.
        min(district_id) as district_id
    from in_polygon
    group by city_id, latitude, longitude
)

select
    stated.city_id,
    stated.subject,
    stated.subject_id,
    coalesce(stated.stated_district_id, located.district_id) as district_id,
    case
        when stated.stated_district_id is not null then 'column'
        when located.district_id is not null then 'point'
    end as district_from
from stated
left join located
    on
        stated.stated_district_id is null
        and stated.city_id = located.city_id
        and stated.latitude = located.latitude
        and stated.longitude = located.longitude
