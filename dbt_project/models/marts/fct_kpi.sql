with targeted as (
    select
        value.*,
        definition.direction,
        definition.score_offset,
        definition.definition_version,
        target.target
    from {{ ref('int_kpi_value') }} as value
    inner join {{ ref('kpi_definition') }} as definition
        on value.metric_id = definition.metric_id
    left join lateral (
        select applicable.target
        from {{ ref('int_target') }} as applicable
        where
            applicable.city_id = value.city_id
            and applicable.metric_id = value.metric_id
            and applicable.from_date <= value.period_start
        order by applicable.from_date desc
        limit 1
    ) as target on true
    where value.period_grain = 'month' and value.department_id = '*'
)

select
    city_id,
    metric_id,
    district_id,
    period_grain,
    period_start,
    is_complete,
    numerator::double precision as numerator,
    denominator::double precision as denominator,
    n,
    value,
    null_reason,
    target,
    direction,
    round(
        ({{ bounded_score('value', 'target', 'direction', 'score_offset') }})::numeric, 6
    )::double precision as score,
    definition_version,
    as_of
from targeted
