with newest as (
    {{ newest_version('demo__peer_figures') }}
)

select
    city_id as peer_id,
    city_name as peer_name,
    simulated as is_simulated,
    region,
    population,
    population_year,
    indicator as metric_id,
    unit,
    version as definition_version,
    period_start,
    months,
    months_covered,
    value,
    n,
    sample,
    published_on,
    _load_id,
    _source_file,
    _source_row
from newest
