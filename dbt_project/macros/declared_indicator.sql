{#
  The computation of an indicator that adds up, or of the samples of a median or percentile, as its
  newest version declares it: mart, event_at, where, numerator, denominator, sample. For reports that
  cut a figure by something that fct_kpi does not have, such as a service: no formula is written twice.
#}
{% macro declared_indicator(id) -%}
    {%- set found = [] -%}
    {%- for group in indicators_by_event() -%}
        {%- for one in group.sums if one.id == id and one.sign == 1 -%}
            {%- do found.append(dict(one, mart=group.mart, event_at=group.event_at)) -%}
        {%- endfor -%}
        {%- for one in group.samples if id in one.ids -%}
            {%- do found.append(dict(one, mart=group.mart, event_at=group.event_at)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {#- sqlfluff has no indicators. -#}
    {{ return((found | last) if found else {}) }}
{%- endmacro %}
