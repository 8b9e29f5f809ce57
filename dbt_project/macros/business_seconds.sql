{#
  Seconds for which a city's offices had been open by a local time. `day`: the row of
  int_business_day that the time falls on.
#}
{% macro business_seconds(day, local_time) -%}
    {{ day }}.seconds_before + least(
        greatest(
            extract(epoch from {{ local_time }} at time zone {{ day }}.time_zone)
            - {{ day }}.opens_epoch,
            0
        ),
        {{ day }}.seconds
    )
{%- endmacro %}
