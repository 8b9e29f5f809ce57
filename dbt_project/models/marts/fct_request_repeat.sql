{{ config(pre_hook=joins_by_hash()) }}

-- Cells that are at least 50 m wide up to 72 degrees of latitude: two requests within 50 m are in
-- one cell or in two beside each other. Of these pairs of cells each is looked at from one side
-- only, and joined by one number, which is faster than four columns; cells that share a number are
-- distinguished after.
with located as (
    select
        *,
        service_number + cell_y * 240007::bigint + cell_x as cell_number
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
            hashtext(city_id || ':' || service_id) * 1000000007::bigint as service_number,
            floor(latitude / 0.0005)::integer as cell_y,
            floor(longitude / 0.0015)::integer as cell_x
        from {{ ref('fct_service_request') }}
        where latitude is not null and longitude is not null and service_id is not null
    ) as placed
),

-- Materialized, because the planner would join requests by city and service first.
looked_up as materialized (
    select
        located.city_id,
        located.service_request_id,
        located.service_id,
        located.opened_at,
        located.latitude,
        located.longitude,
        located.cell_y + beside.y as cell_y,
        located.cell_x + beside.x as cell_x,
        located.service_number + (located.cell_y + beside.y) * 240007::bigint
        + located.cell_x + beside.x as cell_number
    from located
    cross join (values (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)) as beside (y, x)
),

pairs as (
    select
        one.city_id,
        case
            when
                (one.opened_at, one.service_request_id)
                < (other.opened_at, other.service_request_id)
                then other.service_request_id
            else one.service_request_id
        end as service_request_id
    from looked_up as one
    inner join located as other on one.cell_number = other.cell_number
    where
        one.city_id = other.city_id
        and one.service_id = other.service_id
        and one.cell_y = other.cell_y
        and one.cell_x = other.cell_x
        and one.service_request_id <> other.service_request_id
        and one.opened_at between other.opened_at - interval '30 days'
        and other.opened_at + interval '30 days'
        -- Metres on a sphere of the Earth's mean radius, as if it were flat there.
        and (111195.08 * (one.latitude - other.latitude)) ^ 2
        + (
            111195.08 * cos(radians((one.latitude + other.latitude) / 2))
            * (one.longitude - other.longitude)
        ) ^ 2
        <= 50 ^ 2
),

repeats as (
    select distinct
        city_id,
        service_request_id
    from pairs
)

select
    located.city_id,
    located.service_request_id,
    located.district_id,
    located.department_id,
    located.service_id,
    located.opened_at,
    repeats.service_request_id is not null as is_repeat
from located
left join repeats
    on
        located.city_id = repeats.city_id
        and located.service_request_id = repeats.service_request_id
