{#
  How long a source of this cadence (cron) may be silent before it is overdue: a day, a week, a month
  or a year, and some more, because a run may be late without anything being wrong.
#}
{% macro patience(cadence) -%}
    case
        when split_part({{ cadence }}, ' ', 4) <> '*' then interval '370 days'
        when split_part({{ cadence }}, ' ', 3) <> '*' then interval '33 days'
        when split_part({{ cadence }}, ' ', 5) <> '*' then interval '8 days'
        else interval '2 days'
    end
{%- endmacro %}
