{#
  Collect the planner's statistics as soon as a table is built: autovacuum would come too late for
  the models that read it in the same build, and joins would be planned by guesses. A small sample
  is enough to tell a key from a category. A view has no statistics.
#}
{% macro analyze_after_build(relation) -%}
    {%- if execute and model.config.materialized != 'view' -%}
    set local default_statistics_target = 10; analyze {{ relation }}
    {%- endif -%}
{%- endmacro %}
