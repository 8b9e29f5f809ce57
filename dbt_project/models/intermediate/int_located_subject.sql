-- Rows of each fact that states a district, with their points where it has any.
{% for name, fact in located_facts().items() -%}
    select
        city_id,
        '{{ name }}' as subject,
        {{ fact.key }} as subject_id,
        stated_district_id,
        {{ 'latitude' if fact.has_point else 'cast(null as double precision) as latitude' }},
        {{ 'longitude' if fact.has_point else 'cast(null as double precision) as longitude' }}
    from {{ ref('int_' ~ name) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
