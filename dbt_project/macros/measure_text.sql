{#
  A measure's value as text, by its unit: one way of writing for all pages, and `cityloom kpi` has
  the same (catalog.measure_text). What is counted is whole; a time is in the unit in which it is
  at least 1; else three digits say something, whatever the size.
#}
{% macro measure_text(value, definition) -%}
    {%- set unit = definition ~ '.unit' -%}
    case
        when {{ unit }} in ('%', 'share')
            then to_char(
                {{ value }} * case {{ unit }} when 'share' then 100 else 1 end, 'FM999,999,990.0'
            ) || ' %'
        when {{ unit }} = '-1 to 1' then to_char({{ value }}, 'FMSG0.00')
        when {{ definition }}.aggregate in ('count', 'stock')
            then to_char({{ value }}, 'FM999,999,999,990')
        when {{ unit }} in ('days', 'hours', 'minutes', 'seconds')
            then {{ time_text(value, unit) }}
        when {{ unit }} = 'business days' then {{ three_digits(value) }} || ' business days'
        else {{ three_digits(value) }}
    end
{%- endmacro %}

{# A value over several months as text: what adds up is a monthly mean. #}
{% macro year_measure_text(value, definition) -%}
    {{ measure_text(value, definition) }}
    || case when {{ definition }}.aggregate in ('count', 'sum') then ' a month' else '' end
{%- endmacro %}

{# A number with three digits, or all before the point. #}
{% macro three_digits(value) -%}
    to_char({{ value }}, case
        when {{ value }} = 0 or abs({{ value }}) >= 99.95 then 'FM999,999,999,990'
        when abs({{ value }}) >= 9.995 then 'FM990.0'
        when abs({{ value }}) >= 0.9995 then 'FM990.00'
        when abs({{ value }}) >= 0.09995 then 'FM990.000'
        else 'FM990.0000'
    end)
{%- endmacro %}

{# A time in the largest unit in which it is at least 1, and none larger than its own. #}
{% macro time_text(value, unit) -%}
    {%- set sizes = {'days': 86400, 'hours': 3600, 'minutes': 60, 'seconds': 1} -%}
    {%- set size -%}
        (case {{ unit }}
        {%- for name, seconds in sizes.items() %} when '{{ name }}' then {{ seconds }}{% endfor %} end)
    {%- endset -%}
    case
        when {{ value }} = 0 then '0 ' || {{ unit }}
    {%- for name, seconds in sizes.items() %}
        when {{ size }} >= {{ seconds }} and {{ value }} * {{ size }} >= {{ seconds }}
            then {{ three_digits(value ~ " * " ~ size ~ " / " ~ seconds) }} || ' {{ name }}'
    {%- endfor %}
        else {{ three_digits(value ~ " * " ~ size) }} || ' seconds'
    end
{%- endmacro %}

{# Days as milliseconds, for pages that write a duration: to the hour, or below a day to the minute. #}
{% macro milliseconds(days) -%}
    case
        when {{ days }} >= 1 then round({{ days }} * 24) * 3600000
        else round({{ days }} * 1440) * 60000
    end::double precision
{%- endmacro %}

{# Why a measure has no value, in words. #}
{% macro null_reason_text(reason, n, min_n) -%}
    case {{ reason }}
        when 'too_few' then case
            when {{ n }} = 0 then 'withheld: too few in each month'
            else 'too few (' || {{ n }} || ', at least ' || {{ min_n }} || ')'
        end
        when 'derivable' then 'withheld: would give away a small number'
        when 'no_events' then 'none in that time'
        when 'no_denominator' then 'nothing to divide by'
    end
{%- endmacro %}

{# How a measure stands against its target, in words; `n` is what its value rests on. #}
{% macro standing_text(value, n, target, score, definition) -%}
    case
        when {{ value }} is null then 'Not known'
        when {{ definition }}.direction = 'none' or {{ target }} is null then 'No target'
        -- Of a sample of few records, the next month may say the contrary.
        when
            {{ n }} < 50
            and {{ definition }}.event_grain = 'day'
            and {{ definition }}.aggregate not in ('count', 'sum', 'stock')
            then
                case when {{ score }} >= 1 then 'On' else 'Off' end
                || ' target, few records'
        when {{ score }} >= 1 then 'On target'
        else 'Off target'
    end
{%- endmacro %}

{# A measure's name, with its unit where neither the name nor the text of its value has it. #}
{% macro measure_name(definition) -%}
    case
        when
            {{ definition }}.unit in (
                '%', 'share', '-1 to 1', 'days', 'business days', 'hours', 'minutes', 'seconds'
            )
            or {{ definition }}.unit like 'requests%'
            or position({{ definition }}.unit in lower({{ definition }}.metric_name)) > 0
            then {{ definition }}.metric_name
        else {{ definition }}.metric_name || ', ' || {{ definition }}.unit
    end
{%- endmacro %}

{#
  The months that count in a trailing year as text, and how many of the 12 they are; `end` is the day
  after the last.
#}
{% macro year_text(first, end, months) -%}
    case
        when {{ months }} = 0 then 'none of 12 months'
        else {{ _months_text(first, end, months) }}
    end
{%- endmacro %}

{% macro _months_text(first, end, months) -%}
    case
        when {{ months }} > 1 then to_char({{ first }}, 'Mon YYYY') || ' to '
        else ''
    end
    || to_char({{ end }} - 1, 'Mon YYYY')
    || case
        when {{ months }} < 12 then ', ' || {{ months }} || ' of 12 months'
        else ''
    end
{%- endmacro %}
