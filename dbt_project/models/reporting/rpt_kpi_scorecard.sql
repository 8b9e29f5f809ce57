-- The newest full month and the trailing 12 months of each KPI, side by side, against the
-- target of that time.
with scored as (
    select
        value.city_id,
        value.metric_id,
        value.district_id,
        value.period_grain,
        value.period_start,
        value.period_end,
        value.n,
        value.value,
        value.null_reason,
        value.covered_from,
        value.covered_until,
        value.months_covered,
        value.as_of,
        target.target,
        {{ bounded_score(
            'value.value', 'target.target', 'definition.direction', 'definition.score_offset'
        ) }} as score
    from {{ ref('int_kpi_value') }} as value
    inner join {{ ref('kpi_definition') }} as definition
        on value.metric_id = definition.metric_id
    {{ join_target('value', "(value.period_end - interval '1 month')::date") }}
    where value.is_complete and value.department_id = '*'
),

month as (
    select *
    from (
        select
            *,
            max(period_start) over (partition by city_id, metric_id) as newest_month
        from scored
        where period_grain = 'month'
    ) as months
    where period_start = newest_month
)

select
    month.city_id,
    city.city_name,
    month.district_id,
    coalesce(district.district_name, 'Whole city') as district_name,
    coalesce(district.is_residential, true) as is_residential,
    month.metric_id,
    definition.metric_name,
    definition.unit,
    definition.direction,
    definition.definition_version,
    month.period_start as month,
    month.n as month_n,
    month.value as month_value,
    month.null_reason as month_null_reason,
    month.target as month_target,
    round(month.score::numeric, 6)::double precision as month_score,
    year.period_start as year_start,
    year.period_end as year_end,
    year.n as year_n,
    year.covered_from as year_covered_from,
    year.covered_until as year_covered_until,
    year.months_covered::integer as year_months,
    year.value as year_value,
    year.null_reason as year_null_reason,
    year.target as year_target,
    round(year.score::numeric, 6)::double precision as year_score,
    month.as_of
from month
-- A stock has no 12 months.
left join scored as year
    on
        month.city_id = year.city_id
        and month.metric_id = year.metric_id
        and month.district_id = year.district_id
        and month.period_end = year.period_end
        and year.period_grain = 'trailing_12_months'
inner join {{ ref('kpi_definition') }} as definition on month.metric_id = definition.metric_id
inner join {{ ref('dim_city') }} as city on month.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on month.city_id = district.city_id and month.district_id = district.district_id
