{{ config(pre_hook=joins_by_hash()) }}

-- Cells that are at least 50 m wide up to 72 degrees of latitude: two requests within 50 m are in
-- one cell or in two beside each other. Of these pairs of cells each is looked at from one side
-- only, and of times half a year at once, so that a place with many requests each year is not
-- compared with its whole history. Joined by one number, which is faster than five columns; cells
-- that share a number are distinguished after.
with located as (
    select
        *,
        service_number + half_year * 15485863::bigint + cell_y * 240007::bigint
        + cell_x as cell_number
    from (
        select
            city_id,
            service_request_id,
            district_id,
            department_id,
            service_id,
            opened_at,
            latitude,
            longitude,
            row_number() over () as row_number,
            hashtext(city_id || ':' || service_id) * 1000000007::bigint as service_number,
            floor(latitude / 0.0005)::integer as cell_y,
            floor(longitude / 0.0015)::integer as cell_x,
            floor(extract(epoch from opened_at)::float8 / 86400 / 180)::integer as half_year,
            floor(extract(epoch from opened_at)::float8 / 86400 / 180 - 30 / 180.0)::integer
                as half_year_before,
            floor(extract(epoch from opened_at)::float8 / 86400 / 180 + 30 / 180.0)::integer
                as half_year_after
        from {{ ref('fct_service_request') }}
        where latitude is not null and longitude is not null and service_id is not null
    ) as placed
),

looked_up as (
    select
        located.row_number,
        located.city_id,
        located.service_request_id,
        located.service_id,
        located.opened_at,
        located.latitude,
        located.longitude,
        located.cell_y + beside.y as cell_y,
        located.cell_x + beside.x as cell_x,
        near.half_year,
        located.service_number + near.half_year * 15485863::bigint
        + (located.cell_y + beside.y) * 240007::bigint + located.cell_x + beside.x as cell_number
    from located
    cross join (values (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)) as beside (y, x)
    -- The half-years of the 30 days before and after it: one, or two.
    cross join
        lateral (
            values (0, located.half_year_before), (1, located.half_year_after)
        ) as near (is_second, half_year)
    where near.is_second = 0 or located.half_year_before <> located.half_year_after
),

repeats as (
    select distinct
        case
            when
                (one.opened_at, one.service_request_id)
                < (other.opened_at, other.service_request_id)
                then other.row_number
            else one.row_number
        end as row_number
    from looked_up as one
    inner join located as other on one.cell_number = other.cell_number
    where
        one.row_number <> other.row_number
        and one.opened_at between other.opened_at - interval '30 days'
        and other.opened_at + interval '30 days'
        -- Metres on a sphere of the Earth's mean radius, as if it were flat there.
        and (111195.08 * (one.latitude - other.latitude)) ^ 2
        + (
            111195.08 * cos(radians((one.latitude + other.latitude) / 2))
            * (one.longitude - other.longitude)
        ) ^ 2
        <= 50 ^ 2
        -- In a form by which the planner does not join: it would take city and service first.
        and (one.city_id, one.service_id, one.half_year, one.cell_y, one.cell_x)
        is not distinct from (
            other.city_id, other.service_id, other.half_year, other.cell_y, other.cell_x
        )
)

select
    located.city_id,
    located.service_request_id,
    located.district_id,
    located.department_id,
    located.service_id,
    located.opened_at,
    repeats.row_number is not null as is_repeat
from located
left join repeats on located.row_number = repeats.row_number
