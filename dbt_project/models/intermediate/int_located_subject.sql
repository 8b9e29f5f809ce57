-- Whatever happened somewhere, with the district that its source states and its point.
{%- set subjects = [
    ('service_request', 'int_service_request', 'service_request_id', true),
    ('waste_tonnage', 'int_waste_tonnage', 'waste_tonnage_id', false),
    ('collision', 'int_collision', 'collision_id', true),
    ('inspection', 'stg_nyc__rodent_inspections', 'inspection_id', true),
] %}
{%- for subject, model, key, has_point in subjects %}
select
    city_id,
    '{{ subject }}' as subject,
    {{ key }} as subject_id,
    stated_district_id,
    {{ 'latitude' if has_point else 'null::double precision as latitude' }},
    {{ 'longitude' if has_point else 'null::double precision as longitude' }}
from {{ ref(model) }}
{{ 'union all' if not loop.last }}
{%- endfor %}
