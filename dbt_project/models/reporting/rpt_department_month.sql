with opened as (
    select
        city_id,
        department_id,
        date_trunc('month', opened_at)::date as month,
        count(*) as requests_opened
    from {{ ref('fct_service_request') }}
    group by city_id, department_id, date_trunc('month', opened_at)
),

closed as (
    select
        city_id,
        department_id,
        date_trunc('month', closed_at)::date as month,
        count(*) as requests_closed,
        percentile_cont(0.5) within group (order by days_to_close) as median_days_to_close
    from {{ ref('fct_service_request') }}
    where days_to_close is not null
    group by city_id, department_id, date_trunc('month', closed_at)
),

due as (
    select
        city_id,
        department_id,
        date_trunc('month', due_at)::date as month,
        count(*) as requests_due,
        count(*) filter (where is_closed_on_time) as requests_closed_on_time
    from {{ ref('fct_service_request') }}
    where is_due and is_closed_on_time is not null
    group by city_id, department_id, date_trunc('month', due_at)
),

months as (
    select
        city_id,
        department_id,
        month
    from opened
    union
    select
        city_id,
        department_id,
        month
    from closed
    union
    select
        city_id,
        department_id,
        month
    from due
)

select
    months.city_id,
    city.city_name,
    months.department_id,
    department.department_name,
    months.month,
    coalesce(opened.requests_opened, 0) as requests_opened,
    coalesce(closed.requests_closed, 0) as requests_closed,
    round(closed.median_days_to_close::numeric, 6)::double precision as median_days_to_close,
    coalesce(due.requests_due, 0) as requests_due,
    coalesce(due.requests_closed_on_time, 0) as requests_closed_on_time,
    round(100.0 * due.requests_closed_on_time / due.requests_due, 6)::double precision
        as closed_on_time_pct
from months
inner join {{ ref('dim_city') }} as city on months.city_id = city.city_id
left join {{ ref('dim_department') }} as department
    on
        months.city_id = department.city_id
        and months.department_id = department.department_id
{%- for part in ['opened', 'closed', 'due'] %}
    left join {{ part }}
        on
            months.city_id = {{ part }}.city_id
            and months.department_id = {{ part }}.department_id
            and months.month = {{ part }}.month
{%- endfor %}
where months.department_id is not null
