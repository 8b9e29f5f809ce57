{#
  Score against a target, 1 = met: actual / target, or target / actual where lower is better.
  Bounded to 0..2, and 0 of what should be low is the best there is (CityScore's ratio calls it
  the worst, and has no bound). Null without a target. `offset` moves a metric that may be
  negative to above 0 first.
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
