-- A city that is loaded here takes part by its own records, not by a file that others have of it.
with loaded as (
    select distinct city_id from {{ ref('fct_kpi') }}
),

exchanged as (
    select distinct on (peer_id)
        peer_id as city_id,
        peer_name as city_name,
        is_simulated,
        region,
        population,
        population_year
    from {{ ref('int_peer_figure') }}
    where peer_id not in (select loaded.city_id from loaded)
    order by
        peer_id asc,
        published_on desc,
        city_id asc,
        source_id asc,
        metric_id asc,
        months asc
),

cities as (
    select
        city.city_id,
        city.city_name,
        city.is_simulated,
        city.region,
        city.population,
        city.population_year,
        true as is_loaded
    from {{ ref('city') }} as city
    inner join loaded on city.city_id = loaded.city_id
    union all
    select
        city_id,
        city_name,
        is_simulated,
        region,
        population,
        population_year,
        false as is_loaded
    from exchanged
)

select
    cities.city_id,
    cities.city_name,
    cities.is_simulated,
    cities.is_loaded,
    cities.population,
    cities.population_year,
    band.band_order,
    band.band_name,
    region.region_id,
    region.region_name
from cities
left join {{ ref('peer_band') }} as band
    on
        cities.population >= band.min_population
        and cities.population < coalesce(band.next_band_population, cities.population + 1)
left join {{ ref('peer_region') }} as region on cities.region = region.region_id
