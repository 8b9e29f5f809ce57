with counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        date_trunc('month', submitted_at)::date as month,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from {{ ref('fct_feedback_sentiment') }}
    group by
        city_id,
        date_trunc('month', submitted_at),
        model_name,
        model_version,
        grouping sets ((district_id), ())
    having grouping(district_id) = 1 or district_id is not null
)

select
    counted.city_id,
    area.city_name,
    counted.district_id,
    area.area,
    counted.month,
    area.year,
    counted.n,
    {%- for part in ['negative', 'neutral', 'positive'] %}
        case
            when counted.n >= minimum.min_n and area.null_reason is null
                then round(counted.{{ part }}s::numeric / counted.n, 6)
        end::double precision as {{ part }}_share,
    {%- endfor %}
    {{ net_sentiment_columns('counted', 'minimum.min_n', 'area.null_reason is not null') }},
    counted.model_name,
    counted.model_version
from counted
inner join {{ ref('rpt_area_kpi_month') }} as area
    on
        counted.city_id = area.city_id
        and counted.district_id = area.district_id
        and counted.month = area.month
        and area.metric_id = 'net_sentiment'
inner join {{ ref('kpi_definition') }} as minimum on minimum.metric_id = 'net_sentiment'
