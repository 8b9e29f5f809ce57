{%- set metrics = {
    'closed_on_time_pct': 'closed_on_time_pct',
    'median_days_to_close': 'median_days_to_close',
    'refuse_tons_per_1000': 'refuse_tons_per_1000',
    'recycling_rate': 'recycling_rate',
    'missed_stops_per_10000': 'missed_stops_per_10000',
    'injury_collisions_per_10000': 'injury_collisions_per_10000',
    'calls_answered_pct': 'calls_answered_pct',
    'net_sentiment': 'net_sentiment',
} -%}
-- rpt_kpi_scorecard's newest 12 full months laid out for reading: a line a district, with the
-- city's targets and the whole city above them.
with cells as (
    select *
    from {{ ref('rpt_kpi_scorecard') }}
    where is_residential
),

areas as (
    select
        city_id,
        city_name,
        district_id,
        district_name,
        case when district_id = '*' then 1 else 2 end as line_order,
        max(year_end) as year_end,
        max(year_n) filter (where metric_id = 'requests_opened') as requests_n,
        max(year_n) filter (where metric_id = 'net_sentiment') as comments_n,
        {{ milliseconds("max(year_value) filter (where metric_id = 'median_days_to_close')") }}
            as median_ms_to_close,
    {%- for metric in metrics %}
        max(year_value) filter (where metric_id = '{{ metric }}') as {{ metric }},
        max(year_score) filter (where metric_id = '{{ metric }}') as {{ metric }}_score,
        max(year_n) filter (where metric_id = '{{ metric }}') as {{ metric }}_n,
        max(year_null_reason) filter (where metric_id = '{{ metric }}') as {{ metric }}_null_reason,
        max(year_months) filter (where metric_id = '{{ metric }}') as {{ metric }}_months,
        max(year_end) filter (where metric_id = '{{ metric }}') as {{ metric }}_until
        {{- "," if not loop.last }}
    {%- endfor %}
    from cells
    group by city_id, city_name, district_id, district_name
),

targets as (
    select
        city_id,
        city_name,
        'target' as district_id,
        'Target' as district_name,
        0 as line_order,
        max(year_end) as year_end,
        null::bigint as requests_n,
        null::bigint as comments_n,
        {{ milliseconds("max(year_target) filter (where metric_id = 'median_days_to_close')") }}
            as median_ms_to_close,
    {%- for metric in metrics %}
        max(year_target) filter (where metric_id = '{{ metric }}') as {{ metric }},
        null::double precision as {{ metric }}_score,
        null::bigint as {{ metric }}_n,
        null::text as {{ metric }}_null_reason,
        null::integer as {{ metric }}_months,
        null::date as {{ metric }}_until
        {{- "," if not loop.last }}
    {%- endfor %}
    from cells
    where district_id = '*'
    group by city_id, city_name
    having count(year_target) > 0
)

select * from targets
union all
select * from areas
