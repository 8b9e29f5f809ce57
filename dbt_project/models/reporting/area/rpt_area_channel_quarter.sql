-- By quarter: a channel of a district has too few comments in a month to say anything.
with counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        date_trunc('quarter', submitted_at)::date as quarter,
        channel,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from {{ ref('fct_feedback_sentiment') }}
    group by
        city_id,
        date_trunc('quarter', submitted_at),
        channel,
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
            ['city_id', 'quarter', 'channel', 'model_name', 'model_version'],
            'minimum.min_n'
        ) }} as is_derivable
    from counted
    inner join {{ ref('kpi_definition') }} as minimum on minimum.metric_id = 'net_sentiment'
)

select
    limited.city_id,
    area.city_name,
    limited.district_id,
    area.area,
    limited.quarter,
    area.year,
    case limited.channel
        when 'survey' then 'Survey'
        when 'email' then 'E-mail'
        when 'app_review' then 'App review'
        when 'council_meeting' then 'Council meeting'
        else limited.channel
    end as channel,
    limited.n,
    {{ net_sentiment_columns('limited', 'limited.min_n', 'limited.is_derivable') }},
    limited.model_name,
    limited.model_version
from limited
-- Whole quarters: those whose last month is a full one.
inner join {{ ref('rpt_area_kpi_month') }} as area
    on
        limited.city_id = area.city_id
        and limited.district_id = area.district_id
        and (limited.quarter + interval '2 months')::date = area.month
        and area.metric_id = 'net_sentiment'
