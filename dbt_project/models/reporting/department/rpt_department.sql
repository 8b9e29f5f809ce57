-- The departments that answer requests or keep a source, each with its trailing year.
with departments as (
    select
        city_id,
        department_id
    from {{ ref('int_department_part') }}
    union
    select
        city_id,
        department_id
    from {{ ref('source_catalog') }}
),

periods as (
    select
        city_id,
        department_id,
        metric_id,
        {{ year_text('covered_from', 'covered_until', 'months_covered') }} as period
    from {{ ref('int_kpi_value') }}
    where
        metric_id in ('closed_on_time_pct', 'median_days_to_close')
        and period_grain = 'trailing_12_months'
        and district_id = '*'
        and department_id <> '*'
),

-- What was due may be of other months than what was closed.
year as (
    select
        city_id,
        department_id,
        max(period) filter (where metric_id = 'closed_on_time_pct') as due,
        max(period) filter (where metric_id = 'median_days_to_close') as closed
    from periods
    group by city_id, department_id
)

select
    departments.city_id,
    city.city_name,
    departments.department_id,
    coalesce(department.department_name, departments.department_id) as department_name,
    case
        when year.due = year.closed then year.due
        when year.due is null then 'Closed: ' || year.closed
        else concat_ws('; ', 'Due: ' || year.due, 'closed: ' || year.closed)
    end as year_period,
    {{ department_part_columns() }}
from departments
inner join {{ ref('dim_city') }} as city on departments.city_id = city.city_id
left join {{ ref('dim_department') }} as department
    on
        departments.city_id = department.city_id
        and departments.department_id = department.department_id
left join {{ ref('int_department_part') }} as part
    on
        departments.city_id = part.city_id
        and departments.department_id = part.department_id
        and part.service_id = '*'
        and part.district_id = '*'
{{ join_on_time_target('departments') }}
left join year
    on
        departments.city_id = year.city_id
        and departments.department_id = year.department_id
