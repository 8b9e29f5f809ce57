-- The page shows the newest period in which the city is compared with others; where it is not, the
-- newest that its source covers.
with own as (
    select
        ranking.*,
        row_number() over (
            partition by ranking.city_id, ranking.group_id, ranking.metric_id, ranking.period_months
            order by
                (ranking.left_out is null and ranking.n_cities > 1) desc,
                (ranking.months_covered = ranking.period_months) desc,
                ranking.period_start desc
        ) = 1 as is_newest
    from {{ ref('int_peer_rank') }} as ranking
    inner join {{ ref('int_peer_city') }} as city on ranking.city_id = city.city_id
    where city.is_loaded and ranking.months_covered is not null
)

select
    own.city_id,
    city.city_name,
    own.group_id,
    {{ peer_group_name('own.group_id') }} as group_name,
    own.metric_id,
    definition.metric_name,
    definition.field,
    definition.meaning,
    definition.unit,
    case definition.direction
        when 'higher' then 'Higher is better'
        when 'lower' then 'Lower is better'
        else 'Neither is better'
    end as better,
    own.definition_version,
    own.period_months,
    case own.period_months when 1 then 'Month' else '12 months' end as period_length,
    own.period_start,
    {{ peer_period_text('own') }} as period,
    own.is_newest,
    own.n,
    own.months_covered,
    own.value,
    {{ measure_text('own.value', 'definition') }} as value_text,
    own.rank,
    own.n_cities,
    own.n_left_out,
    own.percentile,
    case
        when own.left_out is not null
            then {{ left_out_text('own', 'definition', brief=true) }}
        when own.n_cities = 1 then 'No peers with this figure'
        when own.rank is null then 'Neither way is better'
        else own.rank || ' of ' || own.n_cities
    end as standing,
    own.left_out,
    own.lower_quartile,
    own.median,
    own.upper_quartile,
    case when own.n_cities > 1 then {{ measure_text('own.median', 'definition') }} end
        as median_text,
    case
        when own.n_cities > 1
            then
                {{ measure_text('own.lower_quartile', 'definition') }} || ' to '
                || {{ measure_text('own.upper_quartile', 'definition') }}
    end as middle_half_text
from own
inner join {{ ref('int_peer_city') }} as city on own.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as definition on own.metric_id = definition.metric_id
