with feedback as (
    {{ comments_of_shown_months() }}
),

counted as (
    select
        city_id,
        case when grouping(district_id) = 1 then '*' else district_id end as district_id,
        extract(year from submitted_at)::integer as year,
        case when grouping(topic) = 1 then '*' else topic end as topic,
        model_name,
        model_version,
        {{ sentiment_counts() }}
    from feedback
    group by
        city_id,
        extract(year from submitted_at),
        model_name,
        model_version,
        grouping sets ((district_id, topic), (district_id), (topic), ())
    having
        (grouping(district_id) = 1 or district_id is not null)
        and (grouping(topic) = 1 or topic is not null)
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
    ['district_id', 'topic'],
    ['city_id', 'year', 'model_name', 'model_version'],
    'min_n'
) }}

select
    cells.city_id,
    city.city_name,
    cells.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    cells.year,
    make_date(cells.year, 1, 1) as year_start,
    cells.topic as topic_id,
    upper(left(cells.topic, 1)) || replace(substring(cells.topic from 2), '_', ' ') as topic,
    cells.n,
    cells.negatives,
    cells.positives,
    {{ net_sentiment_columns('cells', 'cells.min_n') }},
    cells.model_name,
    cells.model_version
from cells
inner join {{ ref('dim_city') }} as city on cells.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on cells.city_id = district.city_id and cells.district_id = district.district_id
-- Below the minimum the row is left out: small numbers are noise and identify people. So is one
-- that would give such a row away.
where cells.topic <> '*' and not cells.is_withheld
