{{ config(materialized='table') }}

-- How the rows of a source were read last decides whether they are a sample.
with good as (
    select distinct on (city_id, source_id)
        city_id,
        source_id,
        mode
    from {{ source('quality', 'loads') }}
    where state in ('accepted', 'unchanged')
    order by city_id asc, source_id asc, load_id desc
),

samples as (
    select
        catalogued.city_id,
        catalogued.feeds as fact,
        string_agg(
            distinct {{ sample_as_read('good', 'catalogued') }}, '; '
        ) as sample
    from {{ ref('source_catalog') }} as catalogued
    inner join good
        on catalogued.city_id = good.city_id and catalogued.source_id = good.source_id
    group by catalogued.city_id, catalogued.feeds
),

-- Counts, sums and stocks grow with a city, so they compare nothing.
definitions as (
    select
        metric_id,
        fact,
        unit
    from {{ ref('kpi_definition') }}
    where aggregate not in ('count', 'sum', 'stock')
),

loaded as (
    select
        city_id,
        metric_id,
        1 as period_months,
        period_start,
        is_complete::integer as months_covered,
        n,
        value,
        definition_version
    from {{ ref('fct_kpi') }}
    where district_id = '*' and period_grain = 'month'
    union all
    select
        city_id,
        metric_id,
        12 as period_months,
        period_start,
        months_covered::integer as months_covered,
        n,
        value,
        definition_version
    from {{ ref('int_kpi_value') }}
    where
        period_grain = 'trailing_12_months'
        and district_id = '*'
        and department_id = '*'
),

exchanged as (
    select distinct on (figure.peer_id, figure.metric_id, figure.months, figure.period_start)
        figure.peer_id as city_id,
        figure.metric_id,
        figure.months as period_months,
        figure.period_start,
        figure.months_covered,
        figure.n,
        round(figure.value::numeric, 6)::double precision as value,
        figure.definition_version,
        figure.unit,
        nullif(figure.sample, '') as sample
    from {{ ref('int_peer_figure') }} as figure
    inner join {{ ref('int_peer_city') }} as city
        on figure.peer_id = city.city_id and not city.is_loaded
    order by
        figure.peer_id asc,
        figure.metric_id asc,
        figure.months asc,
        figure.period_start asc,
        figure.published_on desc,
        figure.city_id asc,
        figure.source_id asc
)

select
    loaded.city_id,
    loaded.metric_id,
    loaded.period_months,
    loaded.period_start,
    loaded.months_covered,
    loaded.n,
    loaded.value,
    loaded.definition_version,
    definitions.unit,
    samples.sample
from loaded
inner join definitions on loaded.metric_id = definitions.metric_id
left join samples on loaded.city_id = samples.city_id and definitions.fact = samples.fact
union all
select
    exchanged.city_id,
    exchanged.metric_id,
    exchanged.period_months,
    exchanged.period_start,
    exchanged.months_covered,
    exchanged.n,
    exchanged.value,
    exchanged.definition_version,
    exchanged.unit,
    exchanged.sample
from exchanged
inner join definitions on exchanged.metric_id = definitions.metric_id
