with kpis as (
    select
        city_id,
        max(as_of) as as_of,
        max(period_start) filter (where metric_id = 'requests_opened' and is_complete)
            as newest_full_month
    from {{ ref('fct_kpi') }}
    group by city_id
),

requests as (
    select
        city_id,
        count(*) as n,
        count(district_id) as located
    from {{ ref('fct_service_request') }}
    group by city_id
),

comments as (
    select
        city_id,
        count(*) as n
    from {{ ref('fct_feedback') }}
    group by city_id
),

collisions as (
    select
        city_id,
        count(*) as n
    from {{ ref('fct_collision') }}
    group by city_id
),

sources as (
    select
        city_id,
        count(*) filter (where last_good_load_at is not null) as n_loaded,
        count(*) filter (where is_sample) as n_samples,
        string_agg(title, ', ' order by title) filter (where is_sample) as samples
    from {{ ref('rpt_service_status') }}
    group by city_id
)

select
    city.city_id,
    city.city_name,
    city.is_simulated,
    case
        when city.is_simulated then 'Simulated: this city does not exist'
        when sources.n_samples > 0
            then
                'Real; ' || sources.n_samples || ' of ' || sources.n_loaded
                || ' sources are samples'
        else 'Real: published records, as far as loaded'
    end as data_kind,
    sources.samples,
    city.population,
    kpis.as_of,
    kpis.newest_full_month,
    coalesce(requests.n, 0) as requests_n,
    round(requests.located::numeric / nullif(requests.n, 0), 6)::double precision
        as requests_located_share,
    coalesce(comments.n, 0) as comments_n,
    coalesce(collisions.n, 0) as collisions_n
from {{ ref('dim_city') }} as city
inner join kpis on city.city_id = kpis.city_id
left join requests on city.city_id = requests.city_id
left join comments on city.city_id = comments.city_id
left join collisions on city.city_id = collisions.city_id
left join sources on city.city_id = sources.city_id
