-- Each measure of an area as a page shows it: the newest full month and the newest 12 months, each
-- with its own period, n and target, and a reason where there is no value.
with known as (
    select distinct
        city_id,
        metric_id,
        district_id
    from {{ ref('fct_kpi') }}
),

carded as (
    select
        card.*,
        before.value as year_before
    from {{ ref('rpt_kpi_scorecard') }} as card
    left join {{ ref('fct_kpi') }} as before
        on
            card.city_id = before.city_id
            and card.metric_id = before.metric_id
            and card.district_id = before.district_id
            and before.period_start = (card.month - interval '1 year')::date
            and before.is_complete
)

select
    known.city_id,
    city.city_name,
    known.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    known.metric_id,
    definition.metric_name,
    definition.field,
    definition.unit,
    {{ measure_name('definition') }} as measure,
    carded.month,
    carded.month_n as n,
    carded.month_value as value,
    carded.month_value is not null as is_known,
    coalesce(
        {{ measure_text('carded.month_value', 'definition') }},
        {{ null_reason_text('carded.month_null_reason', 'carded.month_n', 'definition.min_n') }},
        'no full month'
    ) as value_text,
    carded.month_target as target,
    {{ measure_text('carded.month_target', 'definition') }} as target_text,
    carded.month_score as score,
    {{ standing_text(
        'carded.month_value', 'carded.month_n', 'carded.month_target', 'carded.month_score',
        'definition'
    ) }} as standing,
    carded.year_before,
    {{ measure_text('carded.year_before', 'definition') }} as year_before_text,
    carded.year_end,
    carded.year_n,
    carded.year_value,
    coalesce(
        {{ year_measure_text('carded.year_value', 'definition') }},
        {{ null_reason_text('carded.year_null_reason', 'carded.year_n', 'definition.min_n') }}
    ) as year_value_text,
    {{ year_text('carded.year_covered_from', 'carded.year_covered_until', 'carded.year_months') }}
        as year_period,
    {{ explanation_link('known', 'carded.month') }} as explanation
from known
inner join {{ ref('kpi_definition') }} as definition on known.metric_id = definition.metric_id
inner join {{ ref('dim_city') }} as city on known.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on known.city_id = district.city_id and known.district_id = district.district_id
left join carded
    on
        known.city_id = carded.city_id
        and known.metric_id = carded.metric_id
        and known.district_id = carded.district_id
where known.district_id = '*' or district.is_residential
