{#
  Score against a target, where 1 means met: actual / target, or target / actual where lower is
  better. Bounded to 0..2; 0 of a metric that should be low scores best (CityScore's ratio scores it
  worst, and has no bound). Null without a target. `offset` first moves a metric that may be
  negative above 0.
#}
{% macro bounded_score(value, target, direction, offset) -%}
    case
        when {{ value }} is null or {{ target }} is null then null
        when {{ direction }} = 'higher' and {{ target }} + {{ offset }} > 0
            then least(2, greatest(0, ({{ value }} + {{ offset }}) / ({{ target }} + {{ offset }})))
        when {{ direction }} = 'lower' and {{ value }} + {{ offset }} <= 0 then 2
        when {{ direction }} = 'lower' and {{ target }} + {{ offset }} >= 0
            then least(2, ({{ target }} + {{ offset }}) / ({{ value }} + {{ offset }}))
    end
{%- endmacro %}
