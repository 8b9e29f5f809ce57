with newest as (
    {{ newest_version('demo__targets') }}
)

select
    metric_id,
    target,
    from_date,
    _load_id,
    _source_file,
    _source_row
from newest
