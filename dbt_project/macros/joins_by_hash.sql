{#
  For a model's pre_hook, where the planner cannot know how many rows are left, and would loop over
  all days, or all places, for each of a million requests: of the rows of within_as_of, whose city
  and source are constants, it expects one; of a common table expression it knows nothing.
#}
{% macro joins_by_hash() -%}
    set local enable_nestloop = off; set local enable_mergejoin = off
{%- endmacro %}
