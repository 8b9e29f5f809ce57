{#
  Refilled in place: a table that is made anew takes along the view on it, rpt_service_status, which
  a dashboard reads while the build goes on, and all the more after one that failed.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}",
) }}

-- How far each fact of a city tells: the newest event in it, never the clock.
{%- set events = [
    ('service_request', 'int_service_request', 'greatest(opened_at, closed_at)'),
    ('waste_tonnage', 'int_waste_tonnage', 'told_until'),
    ('collision', 'int_collision', 'occurred_at'),
    ('inspection', 'stg_nyc__rodent_inspections', 'inspected_at'),
    ('trip', 'stg_nyc__taxi_trips', 'picked_up_at'),
    ('permit', 'stg_demo__permits', 'greatest(applied_at, issued_at)'),
    ('park_work_order', 'stg_demo__park_work_orders', 'greatest(opened_on, completed_on)::timestamp'),
    ('call', 'stg_demo__call_log', 'offered_at'),
    ('collection_round', 'stg_demo__collection_rounds', 'round_date::timestamp'),
    ('feedback', 'int_feedback', 'submitted_at'),
] %}
{%- for fact, model, event in events %}
select
    city_id,
    '{{ fact }}' as fact,
    max({{ event }}) as as_of
from {{ ref(model) }}
group by city_id
{{ 'union all' if not loop.last }}
{%- endfor %}
-- Comments by channel, too, because each channel is a source of its own.
union all
select
    city_id,
    'feedback_' || channel as fact,
    max(submitted_at) as as_of
from {{ ref('int_feedback') }}
group by city_id, channel
