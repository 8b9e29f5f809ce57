{#- Corners are moved to a grid of this many cells along the longer side of a city. -#}
{%- set cells = 400 -%}
-- Outlines for a page's map: neighbours share the corners of a grid, so that no gap opens between
-- them, and of a coast of thousands of corners those are left that a page can show. Islands smaller
-- than a cell, and holes, are left out.
with corners as (
    select
        ring.city_id,
        ring.district_id,
        ring.polygon_number,
        corner.number,
        split_part(corner.xy, ',', 1)::double precision as longitude,
        split_part(corner.xy, ',', 2)::double precision as latitude
    from {{ ref('int_district_polygon') }} as ring
    cross join
        lateral string_to_table(btrim(ring.shape::text, '()'), '),(')
        with ordinality as corner (xy, number)
    where not ring.is_hole
),

grids as (
    select
        city_id,
        greatest(max(longitude) - min(longitude), max(latitude) - min(latitude)) / {{ cells }}
            as cell
    from corners
    group by city_id
),

snapped as (
    select
        corners.city_id,
        corners.district_id,
        corners.polygon_number,
        corners.number,
        jsonb_build_array(
            round((round(corners.longitude / grids.cell) * grids.cell)::numeric, 5),
            round((round(corners.latitude / grids.cell) * grids.cell)::numeric, 5)
        ) as corner
    from corners
    inner join grids on corners.city_id = grids.city_id
    where grids.cell > 0
),

followed as (
    select
        *,
        lag(corner) over (
            partition by city_id, district_id, polygon_number order by number
        ) as corner_before
    from snapped
),

outlines as (
    select
        city_id,
        district_id,
        polygon_number,
        jsonb_agg(corner order by number)::text as outline
    from followed
    where corner_before is distinct from corner
    group by city_id, district_id, polygon_number
    having count(distinct corner) >= 3
),

-- A district without a figure has its outline, and the reason.
figures as (
    select
        district.city_id,
        district.city_name,
        district.district_id,
        district.district_name,
        coalesce(
            {{ measure_text('district.closed_on_time_pct', 'definition') }}
            || to_char(district.closed_on_time_pct_n, '" of "FM999,999,999,990" requests due"'),
            {{ null_reason_text(
                'district.closed_on_time_pct_null_reason',
                'district.closed_on_time_pct_n',
                'definition.min_n'
            ) }}
        ) as closed_on_time_text,
        round((district.closed_on_time_pct - city.closed_on_time_pct)::numeric, 6)::double precision
            as closed_on_time_against_city
    from {{ ref('rpt_district_scorecard') }} as district
    inner join {{ ref('rpt_district_scorecard') }} as city
        on district.city_id = city.city_id and city.district_id = '*'
    inner join {{ ref('kpi_definition') }} as definition
        on definition.metric_id = 'closed_on_time_pct'
    where district.line_order = 2
)

select
    figures.city_id,
    figures.city_name,
    figures.district_id,
    figures.district_name,
    outlines.polygon_number as part_number,
    outlines.outline,
    figures.closed_on_time_text,
    figures.closed_on_time_against_city,
    -- Superset's map draws null as 0, and what is no number as not known.
    coalesce(figures.closed_on_time_against_city::text, 'not known') as drawn_value
from figures
inner join outlines
    on figures.city_id = outlines.city_id and figures.district_id = outlines.district_id
