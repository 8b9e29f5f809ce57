-- A service belongs to the department that answers most of its requests.
with counted as (
    select
        city_id,
        {{ service_id('service_name') }} as service_id,
        service_name,
        department_id,
        count(*) as n
    from {{ ref('int_service_request') }}
    where service_name is not null
    group by city_id, service_name, department_id
)

select distinct on (city_id, service_id)
    city_id,
    service_id,
    service_name,
    department_id
from counted
order by city_id asc, service_id asc, n desc, department_id asc, service_name asc
