{#
  Refilled in place: replacing the table would drop the view on it, rpt_service_status, which a
  dashboard reads while the build runs, and after a build that failed.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}",
) }}

-- The newest event of each source, never the clock.
{% for name, fact in timed_facts().items() -%}
    select
        city_id,
        source_id,
        '{{ name }}' as fact,
        max(cast({{ fact.event_time }} as timestamp)) as as_of
    from {{ ref('int_' ~ name) }}
    group by city_id, source_id
    {{ 'union all' if not loop.last }}
{% endfor %}
