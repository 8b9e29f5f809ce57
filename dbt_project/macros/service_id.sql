{# A service's name as an id: 'Noise - Residential' is noise_residential. #}
{% macro service_id(service_name) -%}
    trim(both '_' from regexp_replace(lower({{ service_name }}), '[^a-z0-9]+', '_', 'g'))
{%- endmacro %}
