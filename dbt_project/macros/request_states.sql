{# The states of a service request to which staging models map a source's own, for SQL's `in`. #}
{% macro known_request_states() -%}
    'open', 'in_progress', 'closed', 'cancelled'
{%- endmacro %}
