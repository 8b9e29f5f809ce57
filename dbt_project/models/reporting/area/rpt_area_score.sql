-- The score of a city or district: those of its indicators, by the weights in its folder of cities.
-- Each part is shown. Without targets and values of half of the weight there is no score.
with all_weights as (
    select
        city_id,
        sum(weight::numeric) as weight
    from {{ ref('score_weight') }}
    group by city_id
),

parts as (
    select
        kpi.city_id,
        kpi.district_id,
        kpi.period_start as month,
        kpi.metric_id,
        kpi.n,
        kpi.value,
        kpi.null_reason,
        kpi.target,
        kpi.score,
        kpi.definition_version,
        weight.weight::numeric as weight,
        sum(weight.weight::numeric) filter (where kpi.score is not null) over in_area
            as weight_scored,
        sum(kpi.score::numeric * weight.weight::numeric) over in_area as weighted_scores,
        all_weights.weight as weight_of_all
    from {{ ref('fct_kpi') }} as kpi
    inner join {{ ref('score_weight') }} as weight
        on kpi.city_id = weight.city_id and kpi.metric_id = weight.metric_id
    inner join all_weights on kpi.city_id = all_weights.city_id
    where kpi.is_complete
    window in_area as (partition by kpi.city_id, kpi.district_id, kpi.period_start)
)

select
    parts.city_id,
    city.city_name,
    parts.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    parts.month,
    parts.metric_id,
    definition.metric_name,
    parts.n,
    parts.value,
    parts.null_reason,
    parts.target,
    parts.score,
    parts.definition_version,
    parts.weight::double precision as weight,
    round(parts.score::numeric * parts.weight / nullif(parts.weight_scored, 0), 6)::double precision
        as points,
    round(
        coalesce(parts.weight_scored, 0) / parts.weight_of_all, 6
    )::double precision as weight_covered,
    case
        when parts.weight_scored * 2 >= parts.weight_of_all
            then round(parts.weighted_scores / parts.weight_scored, 6)::double precision
    end as total_score
from parts
inner join {{ ref('dim_city') }} as city on parts.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as definition on parts.metric_id = definition.metric_id
left join {{ ref('dim_district') }} as district
    on parts.city_id = district.city_id and parts.district_id = district.district_id
where parts.district_id = '*' or district.is_residential
