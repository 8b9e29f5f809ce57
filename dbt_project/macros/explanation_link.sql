{#
  A link to the page that explains a figure, as HTML for Superset's tables; null where there is no
  month to explain. Other letters of an id than plain ones are percent-encoded, so that none can end the link.
#}
{% macro explanation_link(row, month) -%}
    '<a href="/explain/?city=' || {{ _percent_encoded(row ~ '.city_id') }}
    || '&amp;indicator=' || {{ _percent_encoded(row ~ '.metric_id') }}
    || '&amp;district=' || {{ _percent_encoded(row ~ '.district_id') }}
    || '&amp;period=' || to_char({{ month }}, 'YYYY-MM') || '">explain</a>'
{%- endmacro %}


{% macro _percent_encoded(text) -%}
    case
        when {{ text }} ~ '^[A-Za-z0-9_.*-]*$' then {{ text }}
        else regexp_replace(encode(convert_to({{ text }}, 'UTF8'), 'hex'), '(..)', '%\1', 'g')
    end
{%- endmacro %}
