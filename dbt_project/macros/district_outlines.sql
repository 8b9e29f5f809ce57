{#
  The rings of all districts, for a common table expression that is materialized: a polygon of
  thousands of corners is kept compressed, out of line, and would be unpacked again for every point
  that it is asked for; there, each is unpacked once. In millionths of a degree, because PostgreSQL
  takes as on a line what is near it by 1e-6 of a product of two lengths: in degrees that is up to
  40 m, and both districts would have the point.
#}
{% macro district_outlines() -%}
    select
        city_id,
        district_id,
        polygon_number,
        ring_number,
        is_hole,
        polygon(path(shape) * point(1000000, 0)) as shape
    from {{ ref('int_district_polygon') }}
{%- endmacro %}


{# The point of a row with latitude and longitude, to be compared with an outline's shape. #}
{% macro place_in_outline(row) -%}
    point({{ row }}.longitude * 1000000, {{ row }}.latitude * 1000000)
{%- endmacro %}


{#
  Whether a ring is a hole that has a row's point in it. One on the hole's line is on the line of
  the district, too. GeoJSON's rings end where they begin, so the open path has all of the line.
#}
{% macro is_cut_out(row, outline) -%}
    {{ outline }}.is_hole
    and {{ outline }}.shape @> {{ place_in_outline(row) }}
    and not {{ place_in_outline(row) }} <@ popen(path({{ outline }}.shape))
{%- endmacro %}


{# The district of a fact's row, and what it is known from. Goes with join_district. #}
{% macro district_columns() -%}
    coalesce(stated_district.district_id, place.district_id) as district_id,
    case
        when stated_district.district_id is not null then 'column'
        when place.district_id is not null then 'point'
    end as district_from
{%- endmacro %}


{#
  The district that a row of a fact states, where there is such a district; else the one that its
  point lies in.
#}
{% macro join_district(fact, row) -%}
    left join {{ ref('int_district') }} as stated_district
        on
            {{ row }}.city_id = stated_district.city_id
            and {{ row }}.stated_district_id = stated_district.district_id
    left join {{ ref('int_point_district') }} as place
        on
            {{ row }}.city_id = place.city_id
            and place.subject = '{{ fact }}'
            and {{ row }}.{{ facts()[fact].key }}::text = place.subject_id
{%- endmacro %}
