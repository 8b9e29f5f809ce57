{#
  For a model's pre_hook. The rows of within_as_of have their city and source as constants, of which
  the planner expects one row to be left: it would loop over all days, or all places, for each of a
  million requests.
#}
{% macro joins_by_hash() -%}
    set local enable_nestloop = off; set local enable_mergejoin = off
{%- endmacro %}
