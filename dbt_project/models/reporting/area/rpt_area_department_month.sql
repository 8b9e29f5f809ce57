with counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        department_id,
        date_trunc('month', opened_at)::date as month,
        count(*) as requests_opened
    from {{ ref('fct_service_request') }}
    where department_id is not null
    group by
        city_id,
        department_id,
        date_trunc('month', opened_at),
        grouping sets ((district_id), ())
    having grouping(district_id) = 1 or district_id is not null
)

select
    counted.city_id,
    area.city_name,
    counted.district_id,
    area.area,
    counted.department_id,
    coalesce(department.department_name, counted.department_id) as department_name,
    counted.month,
    area.year,
    counted.requests_opened
from counted
-- The months and areas that the KPIs show: full months, districts where people live.
inner join {{ ref('rpt_area_kpi_month') }} as area
    on
        counted.city_id = area.city_id
        and counted.district_id = area.district_id
        and counted.month = area.month
        and area.metric_id = 'requests_opened'
left join {{ ref('dim_department') }} as department
    on
        counted.city_id = department.city_id
        and counted.department_id = department.department_id
