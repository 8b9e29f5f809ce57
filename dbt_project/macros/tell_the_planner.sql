{#
  Let the planner know what a table holds as soon as it is made: autovacuum comes too late for the
  models that read it in the same build, and without statistics joins are planned by guesses. A
  small sample tells a key from a category well enough. A view has nothing to tell.
#}
{% macro tell_the_planner(relation) -%}
    {%- if execute and model.config.materialized != 'view' -%}
    set local default_statistics_target = 10; analyze {{ relation }}
    {%- endif -%}
{%- endmacro %}
