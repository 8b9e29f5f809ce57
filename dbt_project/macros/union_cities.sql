{# Rows of models that hold the same thing for several cities, by column name. #}
{% macro union_cities(models, columns) -%}
    {%- for model in models %}
    select
        {% for column in columns -%}
        {{ column }}{{ "," if not loop.last }}
        {% endfor -%}
    from {{ ref(model) }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}
