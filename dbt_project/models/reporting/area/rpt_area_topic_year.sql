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
)

select
    counted.city_id,
    city.city_name,
    counted.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    counted.year,
    counted.topic as topic_id,
    upper(left(counted.topic, 1)) || replace(substring(counted.topic from 2), '_', ' ') as topic,
    counted.n,
    counted.negatives,
    counted.positives,
    {{ net_sentiment_columns('counted', 'minimum.min_n') }},
    counted.model_name,
    counted.model_version
from counted
inner join {{ ref('dim_city') }} as city on counted.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on counted.city_id = district.city_id and counted.district_id = district.district_id
inner join {{ ref('kpi_definition') }} as minimum
    on
        minimum.metric_id = 'net_sentiment'
        -- Below the minimum the row is left out: small numbers are noise and identify people.
        and counted.n >= minimum.min_n
