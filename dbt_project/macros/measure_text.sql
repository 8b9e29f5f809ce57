{# A measure's value as text, by its unit; a count is whole. One way of writing for all pages. #}
{% macro measure_text(value, definition) -%}
    {%- set unit = definition ~ '.unit' -%}
    case
        when {{ unit }} in ('%', 'share')
            then to_char(
                {{ value }} * case {{ unit }} when 'share' then 100 else 1 end, 'FM999,999,990.0'
            ) || ' %'
        when {{ unit }} = '-1 to 1' then to_char({{ value }}, 'FMSG0.00')
        when {{ definition }}.aggregate = 'count' or abs({{ value }}) >= 100
            then to_char({{ value }}, 'FM999,999,999,990')
        else to_char({{ value }}, 'FM990.0')
    end
{%- endmacro %}

{# Why a measure has no value, in words. #}
{% macro null_reason_text(reason, n, min_n) -%}
    case {{ reason }}
        when 'too_few' then 'too few (' || {{ n }} || ', at least ' || {{ min_n }} || ')'
        when 'derivable' then 'withheld: would give away a small number'
        when 'no_events' then 'none in that time'
        when 'no_denominator' then 'nothing to divide by'
    end
{%- endmacro %}
