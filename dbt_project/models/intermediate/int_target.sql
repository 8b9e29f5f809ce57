-- A department's own target has precedence over the one in the city's folder.
with department_target as (
    {{ union_feeds('target') }}
),

ranked as (
    select
        city_id,
        metric_id,
        target,
        from_date,
        1 as precedence
    from department_target
    where target is not null
    union all
    select
        city_id,
        metric_id,
        target,
        from_date,
        2 as precedence
    from {{ ref('target') }}
)

select distinct on (city_id, metric_id, from_date)
    city_id,
    metric_id,
    target,
    from_date
from ranked
order by city_id, metric_id, from_date, precedence
