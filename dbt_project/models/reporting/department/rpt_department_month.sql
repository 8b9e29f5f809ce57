{%- set metrics = [
    'requests_opened', 'requests_closed', 'median_days_to_close', 'p90_days_to_close',
    'closed_on_time_pct', 'overdue_open_pct', 'requests_backlog', 'median_backlog_age'
] -%}

-- Values are those of the indicators by department: no formula stands here.
with kpi as (
    select
        city_id,
        department_id,
        period_start as month,
        bool_and(is_complete) as is_complete,
    {%- for metric in metrics %}
        max(n) filter (where metric_id = '{{ metric }}') as {{ metric }}_n,
        max(numerator) filter (where metric_id = '{{ metric }}') as {{ metric }}_numerator,
        max(value) filter (where metric_id = '{{ metric }}') as {{ metric }},
        max(null_reason) filter (where metric_id = '{{ metric }}') as {{ metric }}_null_reason
        {{- ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('int_kpi_value') }}
    where
        period_grain = 'month'
        and department_id <> '*'
        and metric_id in (
            {%- for metric in metrics %}
                '{{ metric }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
    group by city_id, department_id, period_start
)

select
    kpi.city_id,
    city.city_name,
    kpi.department_id,
    coalesce(department.department_name, kpi.department_id) as department_name,
    kpi.month,
    extract(year from kpi.month)::integer as year,
    kpi.is_complete,
    coalesce(kpi.requests_opened_n, 0) as requests_opened,
    coalesce(kpi.requests_closed_n, 0) as requests_closed,
    coalesce(kpi.requests_closed_n - kpi.median_days_to_close_n, 0) as requests_closed_by_routine,
    kpi.median_days_to_close,
    kpi.median_days_to_close_null_reason,
    kpi.p90_days_to_close,
    kpi.p90_days_to_close_null_reason,
    coalesce(kpi.closed_on_time_pct_n, 0) as requests_due,
    kpi.closed_on_time_pct_numerator::bigint as requests_closed_on_time,
    kpi.closed_on_time_pct,
    kpi.closed_on_time_pct_null_reason,
    kpi.overdue_open_pct,
    kpi.overdue_open_pct_null_reason,
    kpi.requests_backlog::bigint as requests_backlog,
    kpi.median_backlog_age,
    kpi.median_backlog_age_null_reason
from kpi
inner join {{ ref('dim_city') }} as city on kpi.city_id = city.city_id
left join {{ ref('dim_department') }} as department
    on kpi.city_id = department.city_id and kpi.department_id = department.department_id
