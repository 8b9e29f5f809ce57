with counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        extract(year from submitted_at)::integer as year,
        topic,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from {{ ref('fct_feedback_sentiment') }}
    where topic is not null
    group by
        city_id,
        extract(year from submitted_at),
        topic,
        model_name,
        model_version,
        grouping sets ((district_id), ())
    having grouping(district_id) = 1 or district_id is not null
),

limited as (
    select
        counted.*,
        minimum.min_n,
        {{ is_derivable(
            'counted',
            'district_id',
            ['city_id', 'year', 'topic', 'model_name', 'model_version'],
            'minimum.min_n'
        ) }} as is_derivable
    from counted
    inner join {{ ref('kpi_definition') }} as minimum on minimum.metric_id = 'net_sentiment'
)

select
    limited.city_id,
    city.city_name,
    limited.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    limited.year,
    limited.topic as topic_id,
    upper(left(limited.topic, 1)) || replace(substring(limited.topic from 2), '_', ' ') as topic,
    limited.n,
    limited.negatives,
    limited.positives,
    {{ net_sentiment_columns('limited', 'limited.min_n') }},
    limited.model_name,
    limited.model_version
from limited
inner join {{ ref('dim_city') }} as city on limited.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on limited.city_id = district.city_id and limited.district_id = district.district_id
-- Below the minimum the row is left out: small numbers are noise and identify people. So is one
-- that would give such a row away.
where limited.n >= limited.min_n and not limited.is_derivable
