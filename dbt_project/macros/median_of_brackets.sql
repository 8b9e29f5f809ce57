{#
  The median of what is counted by brackets, (column, from, to), as if each were filled evenly: what
  the Census Bureau does where a median itself does not add up. `to` is none in the open, highest one,
  whose lower end is returned. Null where nothing is counted.
#}
{% macro median_of_brackets(brackets) -%}
    (
        select
            coalesce(
                bracket.lower_end
                + (bracket.upper_end - bracket.lower_end)
                * (bracket.n_all / 2 - (bracket.n_until - bracket.n)) / bracket.n,
                bracket.lower_end
            )::double precision
        from (
            select
                counted.*,
                sum(counted.n) over (order by counted.lower_end) as n_until,
                sum(counted.n) over () as n_all
            from (
                values
                {%- for column, from, to in brackets %}
                ({{ column }}, {{ from }}::double precision, {{ 'null' if to is none else to }})
                {{- ',' if not loop.last }}
                {%- endfor %}
            ) as counted (n, lower_end, upper_end)
        ) as bracket
        where bracket.n_until >= bracket.n_all / 2 and bracket.n > 0
        order by bracket.lower_end
        limit 1
    )
{%- endmacro %}
