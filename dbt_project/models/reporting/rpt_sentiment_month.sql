with counted as (
    select
        city_id,
        date_trunc('month', submitted_at)::date as month,
        channel,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from {{ ref('fct_feedback_sentiment') }}
    group by city_id, date_trunc('month', submitted_at), channel, model_name, model_version
)

select
    counted.city_id,
    city.city_name,
    counted.month,
    counted.channel,
    counted.n,
    {{ sentiment_counts_reported('counted', 'minimum.min_n') }},
    {{ net_sentiment_columns('counted', 'minimum.min_n') }},
    counted.model_name,
    counted.model_version
from counted
inner join {{ ref('dim_city') }} as city on counted.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as minimum on minimum.metric_id = 'net_sentiment'
