{{ config(pre_hook=joins_by_hash()) }}

with weighed as (
    select
        *,
        coalesce(refuse_tons, 0)::numeric + coalesce(other_tons, 0)::numeric as disposed,
        -- Before paper and containers were collected separately, the recycled amount is unknown.
        case
            when paper_tons is not null or metal_glass_plastic_tons is not null
                then
                    coalesce(paper_tons, 0)::numeric
                    + coalesce(metal_glass_plastic_tons, 0)::numeric
                    + coalesce(organics_tons, 0)::numeric
        end as recycled
    from {{ within_as_of('waste_tonnage') }} as reported
)

select
    weighed.city_id,
    weighed.waste_tonnage_id,
    {{ district_columns() }},
    weighed.month_start,
    weighed.refuse_tons,
    weighed.paper_tons,
    weighed.metal_glass_plastic_tons,
    weighed.organics_tons,
    weighed.other_tons,
    weighed.recycled::double precision as recycled_tons,
    weighed.disposed::double precision as disposed_tons,
    (weighed.disposed + coalesce(weighed.recycled, 0))::double precision as total_tons
from weighed
{{ join_district('waste_tonnage', 'weighed') }}
