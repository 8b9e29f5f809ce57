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
        count(*) filter (where is_routine_closing) as requests_closed_by_routine,
        percentile_cont(0.5) within group (
            order by case when not is_routine_closing then days_to_close end
        ) as median_days_to_close
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
    coalesce(closed.requests_closed_by_routine, 0) as requests_closed_by_routine,
    case
        when closed.requests_closed - closed.requests_closed_by_routine >= to_close.min_n
            then round(closed.median_days_to_close::numeric, 6)::double precision
    end as median_days_to_close,
    coalesce(due.requests_due, 0) as requests_due,
    case when due.requests_due >= on_time.min_n then due.requests_closed_on_time end
        as requests_closed_on_time,
    case
        when due.requests_due >= on_time.min_n
            then
                round(100.0 * due.requests_closed_on_time / due.requests_due, 6)::double precision
    end as closed_on_time_pct
from months
inner join {{ ref('dim_city') }} as city on months.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as to_close on to_close.metric_id = 'median_days_to_close'
inner join {{ ref('kpi_definition') }} as on_time on on_time.metric_id = 'closed_on_time_pct'
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
