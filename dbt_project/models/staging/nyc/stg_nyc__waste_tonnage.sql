with newest as (
    {{ newest_version('nyc__waste_tonnage') }}
),

read as (
    select
        *,
        to_date(replace(month, ' ', ''), 'YYYY/MM') as month_start,
        {{ nyc_borough_digit('borough') }} || lpad(communitydistrict, 2, '0') as stated_district_id
    from newest
)

select
    to_char(month_start, 'YYYY-MM') || ':' || stated_district_id as waste_tonnage_id,
    stated_district_id,
    month_start,
    -- The department publishes the current month, too, so how far the newest one reaches is
    -- unknown.
    month_start::timestamp as reported_until,
    refusetonscollected as refuse_tons,
    papertonscollected as paper_tons,
    mgptonscollected as metal_glass_plastic_tons,
    -- Collected separately in some years and districts only.
    case
        when num_nonnulls(resorganicstons, schoolorganictons, leavesorganictons, xmastreetons) > 0
            then
                coalesce(resorganicstons, 0) + coalesce(schoolorganictons, 0)
                + coalesce(leavesorganictons, 0) + coalesce(xmastreetons, 0)
    end as organics_tons,
    null::double precision as other_tons,
    _load_id,
    _source_file,
    _source_row
from read
