{#
  Whether a district's figure could be computed from the city's total and the other districts': it is
  the only one that is shown beside districts with fewer than `min_n` events whose events are, all
  together, fewer than that, or one district's alone. The smallest districts that are shown are
  suppressed with them, until what is left of the total is of `min_n` events and of two groups.
  Events without a district are such a group.

  `rows` has one row a district, and '*' for the whole city, in each cell. `area`: the column that
  says which; departments may stand in for districts. `cell`: the columns that a cell has in common.
  `hidden`: which rows are not shown, if not those of fewer than `min_n` events. For figures that add
  up, such as the numerator of a ratio.
#}
{% macro is_derivable(rows, area, cell, min_n, hidden=none) -%}
    {%- set hidden = hidden or (rows ~ ".n < " ~ min_n) -%}
    {%- set counted = rows ~ "." ~ area ~ " <> '*' and " ~ rows ~ ".n > 0" -%}
    {%- set shown = "(" ~ counted ~ " and not (" ~ hidden ~ "))" -%}
    {%- set few = "(" ~ counted ~ " and " ~ hidden ~ ")" -%}
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


{#
  Common table expressions, the last of them `name`, that add `is_withheld` to the rows of a table of
  two dimensions with totals: a row for each of both, '*' for all of one. Withheld are rows of fewer
  than `min_n` events and what would give them away along either dimension, until nothing does. What
  is withheld along one may have to be protected along the other; where that has no end after a few
  rounds, a cell shows its first dimension's '*' only.

  `rows` has the columns of `cell`, the two `dimensions` and n.
#}
{% macro withheld_cells(name, rows, dimensions, cell, min_n) -%}
    {%- set rounds = 4 -%}
    {{ name }}_0 as (
        select
            *,
            n < {{ min_n }} as hidden_0
        from {{ rows }}
    ),
    {% for round in range(rounds + 1) %}
    {%- set before = name ~ '_' ~ round -%}
    {%- set dimension = dimensions[round % 2] -%}
    {%- set other = dimensions[(round + 1) % 2] %}
    {{ name }}_{{ round + 1 }} as (
        select
            *,
            hidden_{{ round }} or (
                {{ is_derivable(
                    before, dimension, cell + [other], min_n, before ~ '.hidden_' ~ round
                ) }}
            ) as hidden_{{ round + 1 }}
        from {{ before }}
    ),
    {% endfor %}
    {{ name }} as (
        select
            *,
            hidden_{{ rounds }} or (
                {{ dimensions[0] }} <> '*'
                and bool_or(hidden_{{ rounds }} <> hidden_{{ rounds + 1 }})
                    over (partition by {{ cell | join(', ') }})
            ) as is_withheld
        from {{ name }}_{{ rounds + 1 }}
    )
{%- endmacro %}
