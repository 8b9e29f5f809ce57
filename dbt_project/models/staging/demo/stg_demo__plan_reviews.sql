with newest as (
    {{ newest_version('demo__plan_reviews') }}
)

select
    permit_number || '-' || round as review_id,
    permit_number as permit_id,
    round as review_round,
    district as district_id,
    received_on::timestamp as received_at,
    answered_on::timestamp as answered_at,
    answer as outcome,
    _load_id,
    _source_file,
    _source_row
from newest
