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
