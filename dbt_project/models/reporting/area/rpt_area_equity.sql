-- How an indicator differs between the fifths of a city's residents, by their districts: from the
-- worst to the best value, and from the lowest to the highest household income. Made of the
-- districts' figures that are shown, so that none that is withheld follows from it.
with shown as (
    select
        value.city_id,
        value.metric_id,
        value.district_id,
        value.period_start,
        value.period_end,
        value.definition_version,
        value.n,
        value.value,
        value.numerator,
        value.denominator,
        definition.scale,
        district.population::numeric as residents,
        district.median_household_income,
        max(value.period_end) over (partition by value.city_id, value.metric_id) as newest_end,
        case definition.direction when 'higher' then value.value else -value.value end as goodness
    from {{ ref('int_kpi_value') }} as value
    inner join {{ ref('kpi_definition') }} as definition
        on value.metric_id = definition.metric_id
    inner join {{ ref('dim_district') }} as district
        on value.city_id = district.city_id and value.district_id = district.district_id
    where
        value.department_id = '*'
        and value.period_grain
        = case when definition.is_stock then 'month' else 'trailing_12_months' end
        and value.is_complete
        and value.value is not null
        and definition.direction <> 'none'
        -- What is counted, rather than divided, is more where more people live.
        and definition.aggregate not in ('count', 'sum', 'stock')
        and district.is_residential
        and district.population > 0
),

newest as (
    select * from shown
    where period_end = newest_end
),

ranked as (
    select
        newest.*,
        'value' as basis,
        sum(newest.residents) over by_value - newest.residents / 2 as residents_before
    from newest
    window
        by_value as (
            partition by newest.city_id, newest.metric_id
            order by newest.goodness, newest.district_id
        )
    union all
    select
        newest.*,
        'income' as basis,
        sum(newest.residents) over by_income - newest.residents / 2 as residents_before
    from newest
    where newest.median_household_income is not null
    window by_income as (
        partition by newest.city_id, newest.metric_id
        order by newest.median_household_income, newest.district_id
    )
),

-- A district is in the fifth in which the middle of its residents is.
placed as (
    select
        *,
        floor(
            5 * residents_before / sum(residents) over (partition by city_id, metric_id, basis)
        )::integer + 1 as fifth
    from ranked
),

fifths as (
    select
        city_id,
        metric_id,
        basis,
        fifth,
        min(period_start) as period_start,
        max(period_end) as period_end,
        max(definition_version) as definition_version,
        count(*) as districts,
        sum(residents)::bigint as residents,
        sum(n)::bigint as n,
        -- Parts are added up; medians have none, and are weighted by residents.
        round(
            coalesce(
                sum(numerator) * max(scale) / nullif(sum(denominator), 0),
                sum(value::numeric * residents) / sum(residents)
            ), 6
        )::double precision as value
    from placed
    group by city_id, metric_id, basis, fifth
),

compared as (
    select
        *,
        max(value) filter (where fifth = 1) over in_city as first_value,
        max(value) filter (where fifth = 5) over in_city as last_value,
        sum(residents) over in_city as residents_shown,
        sum(districts) over in_city as districts_shown
    from fifths
    window in_city as (partition by city_id, metric_id, basis)
)

select
    compared.city_id,
    city.city_name,
    compared.metric_id,
    definition.metric_name,
    definition.unit,
    definition.direction,
    compared.definition_version,
    compared.basis,
    compared.fifth,
    compared.period_start,
    compared.period_end,
    compared.districts,
    compared.residents,
    compared.n,
    compared.value,
    compared.first_value - compared.last_value as gap,
    case
        when least(compared.first_value, compared.last_value) > 0
            then round((compared.first_value / compared.last_value)::numeric, 6)::double precision
    end as ratio,
    compared.districts_shown::bigint as districts_shown,
    round(
        compared.residents_shown / (
            select sum(district.population)
            from {{ ref('dim_district') }} as district
            where district.city_id = compared.city_id and district.is_residential
        ), 6
    )::double precision as residents_share
from compared
inner join {{ ref('dim_city') }} as city on compared.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as definition
    on compared.metric_id = definition.metric_id
-- Fewer than five districts make no fifths.
where compared.districts_shown >= 5
