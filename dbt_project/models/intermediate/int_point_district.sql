{{ config(materialized='table', meta={'tier': 'restricted'}) }}

-- Of the rows whose source states no district, or none that there is, the district that their
-- point lies in.
with unstated as (
    select
        subject.city_id,
        subject.subject,
        subject.subject_id,
        subject.latitude,
        subject.longitude
    from {{ ref('int_located_subject') }} as subject
    left join {{ ref('int_district') }} as district
        on
            subject.city_id = district.city_id
            and subject.stated_district_id = district.district_id
    where
        district.district_id is null
        and subject.latitude is not null
        and subject.longitude is not null
),

points as (
    select distinct
        city_id,
        latitude,
        longitude
    from unstated
),

-- In their boxes first, by the index; then in the polygon itself. The city is compared in a way
-- that no join by hash can use: it would compare each point with all rings of its city.
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
            ring.bounds @> box(
                point(points.longitude, points.latitude),
                point(points.longitude, points.latitude)
            )
            and points.city_id is not distinct from ring.city_id
),

outlines as materialized (
    {{ district_outlines() }}
),

in_polygon as (
    select
        in_box.city_id,
        in_box.latitude,
        in_box.longitude,
        in_box.district_id
    from in_box
    inner join outlines as outline
        on
            in_box.city_id = outline.city_id
            and in_box.district_id = outline.district_id
            and in_box.polygon_number = outline.polygon_number
            and in_box.ring_number = outline.ring_number
    where outline.shape @> {{ place_in_outline('in_box') }}
    group by
        in_box.city_id,
        in_box.latitude,
        in_box.longitude,
        in_box.district_id,
        in_box.polygon_number
    having not bool_or({{ is_cut_out('in_box', 'outline') }})
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
    unstated.city_id,
    unstated.subject,
    unstated.subject_id,
    located.district_id
from unstated
inner join located
    on
        unstated.city_id = located.city_id
        and unstated.latitude = located.latitude
        and unstated.longitude = located.longitude
