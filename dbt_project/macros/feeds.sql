{#
  Which sources feed which fact. A fact is an intermediate model, int_<fact>, whose YAML twin has
  `meta.fact` (its key, and the time of an event where rows have one) and the type of each column.
  A source feeds it by `feeds: <fact>` in its manifest. `make generate` writes facts_by_name() from
  both into generated/.
#}
{% macro facts() -%}
    {%- if facts_by_name is not defined -%}
        {{ exceptions.raise_compiler_error(
            "dbt_project/generated/ is missing; make it from cities/ by: make generate"
        ) }}
    {%- endif -%}
    {{ return(facts_by_name()) }}
{%- endmacro %}


{# Facts whose rows are events, and so have a newest one. #}
{% macro timed_facts() -%}
    {%- set found = {} -%}
    {%- for name, fact in facts().items() if fact.event_time -%}
        {%- do found.update({name: fact}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{# Facts whose rows state a district, and for which a point may stand in. #}
{% macro located_facts() -%}
    {%- set found = {} -%}
    {%- for name, fact in facts().items() if fact.has_district -%}
        {%- do found.update({name: fact}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#
  The rows of every source that feeds a fact, by the columns and types that the fact's YAML twin
  declares. Without such a source: no rows, with those columns.
#}
{% macro union_feeds(fact) -%}
    {%- set columns = fact_columns(fact) -%}
    {%- set feeds = facts()[fact].feeds -%}
    {%- for feed in feeds %}
    {%- set present = feed_columns(feed) if execute else [] -%}
    {{- check_feed(fact, columns, feed, present) if execute }}
    select
        '{{ feed.city_id }}' as city_id,
        '{{ feed.source_id }}' as source_id
        {%- for column in columns %},
        cast(
            {{- 'null' if is_left_out(column, present) else feed_value(column.name) }} as
            {{ column.data_type -}}
        ) as {{ column.name }}
        {%- endfor %}
    from {{ ref(feed.staging) }}
    {{ "union all" if not loop.last }}
    {%- else %}
    select
        cast(null as text) as city_id,
        cast(null as text) as source_id
        {%- for column in columns %},
        cast(null as {{ column.data_type }}) as {{ column.name }}
        {%- endfor %}
    where false
    {%- endfor %}
{%- endmacro %}


{# A column as a source has it; of a point that is none on Earth, or on latitude 0, nothing. #}
{% macro feed_value(name) -%}
    {%- if name in ('latitude', 'longitude') -%}
    {%- set degrees = name ~ '::double precision' -%}
    case
        when abs({{ degrees }}) <= {{ 90 if name == 'latitude' else 180 }}
            {%- if name == 'latitude' %} and {{ degrees }} <> 0 {%- endif %} then {{ degrees }}
    end
    {%- else -%} {{ name }}
    {%- endif -%}
{%- endmacro %}


{# The columns that a source's staging model must have, from int_<fact>.yml. #}
{% macro fact_columns(fact) -%}
    {%- set found = [] -%}
    {#- By its id: dbt serialises each node that is asked for anew, and a loop asks for all. -#}
    {%- set unique_id = 'model.' ~ project_name ~ '.int_' ~ fact -%}
    {%- if execute and unique_id in graph.nodes -%}
        {%- for column in graph.nodes[unique_id].columns.values()
            if column.name not in ('city_id', 'source_id') -%}
            {%- do found.append(column) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}


{# The columns of a source's staging model; none where it is not built, as in a dbt unit test. #}
{% macro feed_columns(feed) -%}
    {{ return(
        adapter.get_columns_in_relation(ref(feed.staging)) | map(attribute='name') | list
    ) }}
{%- endmacro %}


{# Whether a fact's column is optional (config.meta.optional), and a source does without it. #}
{% macro is_left_out(column, present) -%}
    {%- set is_optional = column.get('config', {}).get('meta', {}).get('optional', false) -%}
    {{ return(present and column.name not in present and is_optional) }}
{%- endmacro %}


{# A column that is missing is named with its file; PostgreSQL would name neither. #}
{% macro check_feed(fact, columns, feed, present) -%}
    {%- set missing = [] -%}
    {%- for column in columns
        if column.name not in present and not is_left_out(column, present) -%}
        {%- do missing.append(column.name) -%}
    {%- endfor -%}
    {%- if present and missing -%}
        {{ exceptions.raise_compiler_error(
            "models/staging/" ~ feed.city_id ~ "/" ~ feed.staging ~ ".sql has no column "
            ~ missing | join(', ') ~ ", which fact " ~ fact ~ " needs; add it (null::type where "
            ~ "the source does not have it). See models/intermediate/int_" ~ fact ~ ".yml"
        ) }}
    {%- endif -%}
{%- endmacro %}
