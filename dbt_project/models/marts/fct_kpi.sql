with months as (
    select
        value.*,
        definition.direction,
        definition.score_offset,
        definition.definition_version > 1
        and value.definition_version = definition.definition_version
        and value.period_start < definition.valid_from as is_restated,
        value.period_start = version.first_month as is_break,
        -- Of the complete months of the 12 before, by the same version: parts are added up, and a
        -- ratio is never averaged; medians and percentiles have no parts.
        case
            when count(value.value) filter (where value.is_complete) over before >= 3
                then
                    round(
                        coalesce(
                            sum(value.numerator) filter (where value.is_complete) over before
                            * definition.scale
                            / nullif(
                                sum(value.denominator) filter (where value.is_complete) over before,
                                0
                            ),
                            avg(value.value::numeric) filter (where value.is_complete) over before
                        ),
                        6
                    )::double precision
        end as history
    from {{ ref('int_kpi_value') }} as value
    inner join {{ ref('kpi_definition') }} as definition
        on value.metric_id = definition.metric_id
    left join {{ ref('kpi_version') }} as version
        on
            value.metric_id = version.metric_id
            and value.definition_version = version.definition_version
    where value.period_grain = 'month' and value.department_id = '*'
    window before as (
        partition by
            value.city_id, value.metric_id, value.district_id, value.definition_version
        order by value.period_start
        range between interval '12 months' preceding and interval '1 month' preceding
    )
),

targeted as (
    select
        months.*,
        target.target,
        case when target.target is null and months.direction <> 'none' then months.history end
            as moving_target
    from months
    {{ join_target('months', 'months.period_start') }}
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
    moving_target,
    direction,
    round(
        ({{ bounded_score('value', 'target', 'direction', 'score_offset') }})::numeric, 6
    )::double precision as score,
    round(
        ({{ bounded_score('value', 'moving_target', 'direction', 'score_offset') }})::numeric, 6
    )::double precision as moving_score,
    definition_version,
    is_restated,
    coalesce(is_break, false) as is_break,
    as_of
from targeted
