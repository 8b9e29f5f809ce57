-- By quarter: a channel of a district has too few comments in a month to say anything.
with feedback as (
    {{ comments_of_shown_months() }}
),

counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        date_trunc('quarter', submitted_at)::date as quarter,
        case when grouping(channel) = 1 then '*' else channel end as channel,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from feedback
    group by
        city_id,
        date_trunc('quarter', submitted_at),
        model_name,
        model_version,
        grouping sets ((district_id, channel), (district_id), (channel), ())
    having grouping(district_id) = 1 or district_id is not null
),

limited as (
    select
        counted.*,
        minimum.min_n
    from counted
    inner join {{ ref('kpi_definition') }} as minimum on minimum.metric_id = 'net_sentiment'
),

{{ withheld_cells(
    'cells',
    'limited',
    ['district_id', 'channel'],
    ['city_id', 'quarter', 'model_name', 'model_version'],
    'min_n'
) }}

select
    cells.city_id,
    area.city_name,
    cells.district_id,
    area.area,
    cells.quarter,
    area.year,
    case cells.channel
        when 'survey' then 'Survey'
        when 'email' then 'E-mail'
        when 'app_review' then 'App review'
        when 'council_meeting' then 'Council meeting'
        else cells.channel
    end as channel,
    cells.n,
    {{ net_sentiment_columns('cells', 'cells.min_n', 'cells.is_withheld') }},
    cells.model_name,
    cells.model_version
from cells
-- Whole quarters: those whose last month is a full one.
inner join {{ ref('rpt_area_kpi_month') }} as area
    on
        cells.city_id = area.city_id
        and cells.district_id = area.district_id
        and (cells.quarter + interval '2 months')::date = area.month
        and area.metric_id = 'net_sentiment'
where cells.channel <> '*'
