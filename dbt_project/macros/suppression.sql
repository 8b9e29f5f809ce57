{#
  Whether a district's figure could be computed from the city's total and the other districts': it is
  the only one that is shown beside districts with fewer than `min_n` events whose events are, all
  together, fewer than that, or one district's alone. The smallest districts that are shown are
  suppressed with them, until what is left of the total is of `min_n` events and of two groups.
  Events without a district are such a group.

  `rows` has one row a district, and '*' for the whole city, in each cell. `area`: the column that
  says which; departments may stand in for districts. `cell`: the columns that a cell has in common.
  For figures that add up, such as the numerator of a ratio.
#}
{% macro is_derivable(rows, area, cell, min_n) -%}
    {%- set shown = "(" ~ rows ~ "." ~ area ~ " <> '*' and " ~ rows ~ ".n >= greatest(" ~ min_n
        ~ ", 1))" -%}
    {%- set few = "(" ~ rows ~ "." ~ area ~ " <> '*' and " ~ rows ~ ".n > 0 and " ~ rows ~ ".n < "
        ~ min_n ~ ")" -%}
    {%- set columns = [] -%}
    {%- for column in cell -%} {%- do columns.append(rows ~ "." ~ column) -%} {%- endfor -%}
    {%- set in_cell = "over (partition by " ~ columns | join(", ") ~ ")" -%}
    {%- set smaller = "over (partition by " ~ columns | join(", ") ~ ", " ~ shown ~ " order by "
        ~ rows ~ ".n, " ~ rows ~ "." ~ area ~ " rows between unbounded preceding and 1 preceding)" -%}
    {%- set whole = "max(" ~ rows ~ ".n) filter (where " ~ rows ~ "." ~ area ~ " = '*') " ~ in_cell -%}
    {{ shown }}
    and count(*) filter (where {{ few }}) {{ in_cell }} > 0
    and (
        {{ whole }}
        - coalesce(sum({{ rows }}.n) filter (where {{ shown }}) {{ in_cell }}, 0)
        + coalesce(sum({{ rows }}.n) {{ smaller }}, 0) < {{ min_n }}
        or count(*) filter (where {{ few }}) {{ in_cell }}
        + (
            {{ whole }} > sum({{ rows }}.n) filter (where {{ rows }}.{{ area }} <> '*') {{ in_cell }}
        )::integer
        + count(*) {{ smaller }} < 2
    )
{%- endmacro %}
