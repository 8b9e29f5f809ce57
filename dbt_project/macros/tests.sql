{# Rows that repeat a key of several columns. #}
{% test unique_combination_of_columns(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as repeats
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}


{# Rows for which an expression is false; an unknown (null) passes. #}
{% test expression_is_true(model, expression, column_name=None) %}
    select *
    from {{ model }}
    where not ({{ expression }})
{% endtest %}


{#
  Rows whose city and id are not in another model. A city of which the other model has no rows is
  left out: its source may come later.
#}
{% test in_dimension(model, to, column, field=none) %}
    select
        fact.city_id,
        fact.{{ column }},
        count(*) as n_rows
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
  Cities of which a metric's numerators, over all months of the whole city, differ from its fact:
  events were lost on the way, or counted twice.
#}
{% test adds_up_to(model, to, metric_id, expression) %}
    with reported as (
        select
            city_id,
            sum(numerator) as total
        from {{ model }}
        where metric_id = '{{ metric_id }}' and district_id = '*'
        group by city_id
    ),

    counted as (
        select
            city_id,
            {{ expression }} as total
        from {{ to }}
        group by city_id
    )

    select
        city_id,
        reported.total as reported,
        counted.total as counted
    from reported
    full join counted using (city_id)
    where abs(coalesce(reported.total, 0) - coalesce(counted.total, 0)::double precision) > 0.001
{% endtest %}


{#
  Names of one city whose ids are the same although they differ by more than case, spaces and
  punctuation marks at their ends: two services would be counted as one.
#}
{% test distinct_service_ids(model, column_name) %}
    with names as (
        select distinct
            city_id,
            {{ column_name }} as service_name
        from {{ model }}
        where {{ column_name }} is not null
    )

    select
        city_id,
        {{ service_id('service_name') }} as service_id,
        string_agg(service_name, ' | ' order by service_name) as service_names
    from names
    group by city_id, {{ service_id('service_name') }}
    having count(distinct {{ comparable_name('service_name') }}) > 1
{% endtest %}


{# Values of fewer events than their metric's definition allows. #}
{% test has_enough_events(model, definitions) %}
    select
        kpi.city_id,
        kpi.metric_id,
        kpi.district_id,
        kpi.period_start,
        kpi.n
    from {{ model }} as kpi
    inner join {{ definitions }} as definition on kpi.metric_id = definition.metric_id
    where kpi.value is not null and kpi.n < definition.min_n
{% endtest %}
