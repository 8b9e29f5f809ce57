{%- set is_finding = '(relation.q_value < 0.05)' -%}
{{ config(materialized='view') }}

-- A view, because the relations are computed from the values that the same build makes; over seeds,
-- which are refilled in place, for a table that is made anew would take it along.
select
    relation.city_id,
    city.city_name,
    relation.work_metric_id,
    work.metric_name as work_name,
    work.unit as work_unit,
    work.field,
    relation.voice_metric_id,
    voice.metric_name as voice_name,
    voice.unit as voice_unit,
    relation.lag_months,
    relation.n,
    relation.n_districts,
    relation.n_months,
    relation.coefficient,
    relation.low,
    relation.high,
    to_char(relation.low, 'FMSG999990.0000') || ' to '
    || to_char(relation.high, 'FMSG999990.0000') as interval_text,
    relation.correlation,
    relation.p_value,
    relation.q_value,
    relation.n_tests,
    relation.null_reason,
    coalesce({{ is_finding }}, false) as is_finding,
    case
        when relation.null_reason = 'too_few' then 'Too few districts or months'
        when relation.null_reason = 'constant' then 'Does not change by itself'
        when not {{ is_finding }} then 'No relation found'
        when relation.coefficient > 0 then 'Rise and fall together'
        else 'One rises as the other falls'
    end as finding
from {{ source('ml', 'voice_relation') }} as relation
inner join {{ ref('city') }} as city on relation.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as work on relation.work_metric_id = work.metric_id
inner join {{ ref('kpi_definition') }} as voice on relation.voice_metric_id = voice.metric_id
-- It shows what int_kpi_value held; named, so that dbt builds this with it.
-- depends_on: {{ ref('int_kpi_value') }}
