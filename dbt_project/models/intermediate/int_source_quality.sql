{# Refilled in place, as int_source_as_of is, and for the same reason. #}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}",
) }}

-- Records in states that no staging model maps, by name; and records whose point lies in another
-- district than they state. Of a large source a part of some 50,000 is compared, chosen by its key.
with states as (
    select
        city_id,
        source_id,
        status,
        count(*) as n
    from {{ ref('int_service_request') }}
    where status not in ({{ known_request_states() }})
    group by city_id, source_id, status
),

unknown_states as (
    select
        city_id,
        source_id,
        sum(n)::bigint as n_unknown_state,
        string_agg(status || ' (' || n || ')', ', ' order by n desc, status asc) as unknown_states
    from states
    group by city_id, source_id
),

located as (
    {%- for name, fact in located_facts().items() if fact.has_point %}
        select
            city_id,
            source_id,
            {{ fact.key }} as record_id,
            stated_district_id,
            latitude,
            longitude
        from {{ ref('int_' ~ name) }}
        where stated_district_id is not null and latitude is not null and longitude is not null
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

parts as (
    select
        city_id,
        source_id,
        greatest(1, count(*) / 50000) as n_parts
    from located
    group by city_id, source_id
),

drawn as (
    select
        located.city_id,
        located.source_id,
        located.record_id,
        located.stated_district_id,
        located.latitude,
        located.longitude,
        {{ place_in_outline('located') }} as place
    from located
    inner join parts on located.city_id = parts.city_id and located.source_id = parts.source_id
    where abs(hashtext(located.record_id)::bigint) % parts.n_parts = 0
),

outlines as materialized (
    {{ district_outlines() }}
),

in_polygon as (
    select
        drawn.city_id,
        drawn.source_id,
        drawn.record_id,
        bool_or(outlines.shape @> drawn.place and not outlines.is_hole)
        and not bool_or({{ is_cut_out('drawn', 'outlines') }}) as is_inside
    from drawn
    inner join outlines
        on
            drawn.city_id = outlines.city_id
            and drawn.stated_district_id = outlines.district_id
    group by drawn.city_id, drawn.source_id, drawn.record_id, outlines.polygon_number
),

compared as (
    select
        city_id,
        source_id,
        record_id,
        bool_or(is_inside) as agrees
    from in_polygon
    group by city_id, source_id, record_id
),

-- A point in no district, such as one in the water, says nothing against the district stated.
nowhere as (
    select
        compared.city_id,
        compared.source_id,
        compared.record_id
    from compared
    inner join drawn
        on
            compared.city_id = drawn.city_id
            and compared.source_id = drawn.source_id
            and compared.record_id = drawn.record_id
    inner join outlines on drawn.city_id = outlines.city_id
    where not compared.agrees
    group by compared.city_id, compared.source_id, compared.record_id
    having not bool_or(outlines.shape @> drawn.place and not outlines.is_hole)
),

districts as (
    select
        compared.city_id,
        compared.source_id,
        count(*) as n_district_compared,
        count(*) filter (where not compared.agrees) as n_other_district
    from compared
    left join nowhere
        on
            compared.city_id = nowhere.city_id
            and compared.source_id = nowhere.source_id
            and compared.record_id = nowhere.record_id
    where nowhere.record_id is null
    group by compared.city_id, compared.source_id
)

select
    coalesce(unknown_states.city_id, districts.city_id) as city_id,
    coalesce(unknown_states.source_id, districts.source_id) as source_id,
    coalesce(unknown_states.n_unknown_state, 0) as n_unknown_state,
    unknown_states.unknown_states,
    districts.n_district_compared,
    districts.n_other_district
from unknown_states
full join districts
    on
        unknown_states.city_id = districts.city_id
        and unknown_states.source_id = districts.source_id
