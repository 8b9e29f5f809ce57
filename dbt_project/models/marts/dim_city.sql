select
    city_id,
    city_name,
    is_simulated,
    country,
    time_zone,
    population,
    population_year,
    district_noun
from {{ ref('city') }}
