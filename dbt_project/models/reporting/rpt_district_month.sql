{#
  Which column shows what of which indicator in fct_kpi, by part; the first indicator of a part says
  which months are complete. What is weighed or scheduled is unknown, rather than 0, without a report.
#}
{%- set parts = {
    'requests': [
        ('requests_opened', 'requests_opened', 'n'),
        ('requests_still_open', 'still_open_pct', 'numerator::bigint'),
    ],
    'due': [
        ('requests_due', 'closed_on_time_pct', 'n'),
        ('requests_closed_on_time', 'closed_on_time_pct', 'numerator::bigint'),
        ('closed_on_time_pct', 'closed_on_time_pct', 'value'),
    ],
    'closings': [
        ('requests_closed', 'requests_closed', 'n'),
        ('requests_closed_by_routine', 'closed_by_routine_pct', 'numerator::bigint'),
        ('median_days_to_close', 'median_days_to_close', 'value'),
    ],
    'refuse': [
        ('refuse_tons', 'refuse_tons_per_1000', 'case when n > 0 then numerator end'),
        ('refuse_tons_per_1000', 'refuse_tons_per_1000', 'value'),
    ],
    'recycling': [
        ('recycling_rate', 'recycling_rate', 'value'),
    ],
    'rounds': [
        ('scheduled_stops', 'missed_stops_per_10000', 'case when n > 0 then denominator::bigint end'),
        ('missed_stops', 'missed_stops_per_10000', 'case when n > 0 then numerator::bigint end'),
        ('missed_stops_per_10000', 'missed_stops_per_10000', 'value'),
    ],
    'collisions': [
        ('collisions', 'collisions_per_10000', 'n'),
        ('injury_collisions', 'injury_collisions_per_10000', 'numerator::bigint'),
        ('injury_collisions_per_10000', 'injury_collisions_per_10000', 'value'),
    ],
    'calls': [
        ('calls_offered', 'calls_offered', 'n'),
        ('calls_answered', 'calls_answered_pct', 'numerator::bigint'),
        ('calls_answered_pct', 'calls_answered_pct', 'value'),
        ('median_call_wait', 'median_call_wait', 'value'),
    ],
    'comments': [
        ('comments', 'comments_read', 'n'),
        ('negatives', 'negative_comments_pct', 'numerator::bigint'),
        ('positives', 'positive_comments_pct', 'numerator::bigint'),
        ('net_sentiment', 'net_sentiment', 'value'),
    ],
} -%}
{%- set metrics = [] -%}
{%- for columns in parts.values() -%} {%- for column in columns -%}
    {%- do metrics.append(column[1]) -%}
{%- endfor -%} {%- endfor -%}

-- Residents' comments beside the work of the departments: fct_kpi laid out, a line a district and
-- month. No formula stands here.
with kpi as (
    select
        {%- for part, columns in parts.items() %}
            coalesce(bool_or(is_complete) filter (where metric_id = '{{ columns[0][1] }}'), false)
                as {{ part }}_complete,
            {%- for name, metric, shown in columns %}
                max({{ shown }}) filter (where metric_id = '{{ metric }}') as {{ name }},
                {%- if shown == 'value' %}
                    max(null_reason) filter (where metric_id = '{{ metric }}')
                        as {{ name }}_null_reason,
                {%- endif %}
            {%- endfor %}
        {%- endfor %}
        city_id,
        district_id,
        period_start as month
    from {{ ref('fct_kpi') }}
    where
        district_id <> '*'
        and metric_id in (
            {%- for metric in metrics | unique %}
                '{{ metric }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
    group by city_id, district_id, period_start
)

select
    kpi.*,
    city.city_name,
    district.district_name,
    extract(year from kpi.month)::integer as year,
    case when district.is_residential then nullif(district.population, 0) end as population
from kpi
inner join {{ ref('dim_city') }} as city on kpi.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on kpi.city_id = district.city_id and kpi.district_id = district.district_id
