-- int_department_part by service, with the department's names and months, and the city's target of
-- the time.
select
    part.city_id,
    department.city_name,
    part.department_id,
    department.department_name,
    department.year_period,
    part.service_id,
    service.service_name,
    {{ department_part_columns() }}
from {{ ref('int_department_part') }} as part
inner join {{ ref('rpt_department') }} as department
    on part.city_id = department.city_id and part.department_id = department.department_id
inner join {{ ref('dim_service') }} as service
    on part.city_id = service.city_id and part.service_id = service.service_id
{{ join_on_time_target('part') }}
where part.district_id = '*'
