-- Departments as the city's folder names them, else as their own records do, the most usual
-- name first: agencies often write the name of one of their offices.
with named as (
    select
        city_id,
        department_id,
        department_name,
        1 as rank_of_source,
        1::bigint as n
    from {{ ref('department') }}
    union all
    select
        city_id,
        department_id,
        department_name,
        2 as rank_of_source,
        count(*) as n
    from {{ ref('int_capital_project') }}
    group by city_id, department_id, department_name
    union all
    select
        city_id,
        department_id,
        department_name,
        3 as rank_of_source,
        count(*) as n
    from {{ ref('int_service_request') }}
    group by city_id, department_id, department_name
)

select distinct on (city_id, department_id)
    city_id,
    department_id,
    coalesce(department_name, department_id) as department_name
from named
where department_id is not null
order by
    city_id asc,
    department_id asc,
    department_name is null,
    rank_of_source asc,
    n desc,
    department_name asc
