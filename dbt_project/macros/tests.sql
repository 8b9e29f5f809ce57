{# Rows that repeat a key of several columns. #}
{% test unique_together(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as repeats
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}


{# Rows for which an expression is false; an unknown (null) passes. #}
{% test holds(model, expression, column_name=None) %}
    select * from {{ model }}
    where not ({{ expression }})
{% endtest %}


{#
  Rows whose city and id are not in another model. A city of which the other model has nothing
  yet is passed over: its source may come later.
#}
{% test in_dimension(model, to, column, field=none) %}
    select fact.city_id, fact.{{ column }}, count(*) as n_rows
    from {{ model }} as fact
    left join {{ to }} as dimension
        on
            fact.city_id = dimension.city_id
            and fact.{{ column }} = dimension.{{ field or column }}
    where
        fact.{{ column }} is not null
        and dimension.city_id is null
        and fact.city_id in (select city_id from {{ to }})
    group by fact.city_id, fact.{{ column }}
{% endtest %}


{#
  Cities of which a metric's numerators, over all months of the whole city, do not add up to its
  fact: events lost on the way, or counted twice.
#}
{% test adds_up_to(model, to, metric_id, expression) %}
    with told as (
        select city_id, sum(numerator) as total
        from {{ model }}
        where metric_id = '{{ metric_id }}' and district_id = '*'
        group by city_id
    ),

    held as (
        select city_id, {{ expression }} as total
        from {{ to }}
        group by city_id
    )

    select city_id, told.total as told, held.total as held
    from told
    full join held using (city_id)
    where abs(coalesce(told.total, 0) - coalesce(held.total, 0)::double precision) > 0.001
{% endtest %}
