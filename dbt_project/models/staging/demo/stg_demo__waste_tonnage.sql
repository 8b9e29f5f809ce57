with newest as (
    {{ newest_version('demo__waste_tonnage') }}
)

select
    to_char(month, 'YYYY-MM') || ':' || district as waste_tonnage_id,
    district as stated_district_id,
    date_trunc('month', month::timestamp)::date as month_start,
    -- A month is reported once it is over.
    date_trunc('month', month::timestamp)
    + interval '1 month'
    - interval '1 second' as reported_until,
    disposed_refuse as refuse_tons,
    recycled_paper as paper_tons,
    recycled_metal_glass_plastic as metal_glass_plastic_tons,
    recycled_organics as organics_tons,
    disposed_other as other_tons,
    _load_id,
    _source_file,
    _source_row
from newest
