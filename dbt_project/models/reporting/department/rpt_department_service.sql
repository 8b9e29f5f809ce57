-- int_department_part by service, with names and the city's target of the time.
select
    part.city_id,
    city.city_name,
    part.department_id,
    department.department_name,
    part.service_id,
    service.service_name,
    {{ department_part_columns() }}
from {{ ref('int_department_part') }} as part
inner join {{ ref('dim_city') }} as city on part.city_id = city.city_id
inner join {{ ref('dim_service') }} as service
    on part.city_id = service.city_id and part.service_id = service.service_id
left join {{ ref('dim_department') }} as department
    on part.city_id = department.city_id and part.department_id = department.department_id
{{ join_on_time_target('part') }}
where part.district_id = '*'
