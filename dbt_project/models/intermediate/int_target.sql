-- A department's own figure goes before the one in the city's folder.
with known as (
    select
        city_id,
        metric_id,
        target,
        from_date,
        1 as rank_of_source
    from {{ ref('stg_demo__targets') }}
    where target is not null
    union all
    select
        city_id,
        metric_id,
        target,
        from_date,
        2 as rank_of_source
    from {{ ref('target') }}
)

select distinct on (city_id, metric_id, from_date)
    city_id,
    metric_id,
    target,
    from_date
from known
order by city_id, metric_id, from_date, rank_of_source
