-- fct_kpi with names, for reading: full months only, so that a line does not end in a month of
-- which most is still to come.
select
    kpi.city_id,
    city.city_name,
    kpi.district_id,
    coalesce(district.district_name, 'Whole city') as area,
    kpi.metric_id,
    definition.metric_name,
    definition.unit,
    kpi.period_start as month,
    extract(year from kpi.period_start)::integer as year,
    kpi.n,
    kpi.value,
    kpi.null_reason,
    kpi.target,
    kpi.score,
    coalesce(
        max(kpi.period_start) filter (where kpi.value is not null) over of_measure
        = max(kpi.period_start) over of_measure,
        false
    ) as newest_is_known,
    kpi.definition_version,
    kpi.as_of
from {{ ref('fct_kpi') }} as kpi
inner join {{ ref('kpi_definition') }} as definition on kpi.metric_id = definition.metric_id
inner join {{ ref('dim_city') }} as city on kpi.city_id = city.city_id
left join {{ ref('dim_district') }} as district
    on kpi.city_id = district.city_id and kpi.district_id = district.district_id
where
    kpi.period_grain = 'month'
    and kpi.is_complete
    and (kpi.district_id = '*' or district.is_residential)
window of_measure as (partition by kpi.city_id, kpi.metric_id, kpi.district_id)
