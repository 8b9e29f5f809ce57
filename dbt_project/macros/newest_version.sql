{#
  The newest version of each row of a raw table: raw appends every version, a load has one of a key,
  and the highest _load_id of a key is the one that counts. The key comes from the source's manifest.
  A source that was never loaded has no raw table yet, and gives no rows. A staging model whose manifest
  is missing or wrong is left out, so that the others can be built.
#}
{% macro newest_version(raw_table) -%}
    {%- if raw_table in raw_tables() -%}
        {%- set key = raw_key(raw_table) -%}
        {%- set raw = source('raw', raw_table) -%}
        {#- In a dbt unit test, the table is a CTE of the given rows. #}
        {%- if execute and not raw.is_cte and load_relation(raw) is none -%}
        {{- no_rows(raw_table) -}}
        {%- else -%}
        {#- By a hash of the key, which may have empty parts; sorting all rows takes far longer. #}
        select candidate.*
        from {{ raw }} as candidate
        where not exists (
            select from {{ raw }} as later
            where
                hash_record_extended({{ _row_of('later', key) }}, 0)
                = hash_record_extended({{ _row_of('candidate', key) }}, 0)
                and {{ _row_of('later', key) }} is not distinct from {{ _row_of('candidate', key) }}
                and (later._load_id, later._source_row) > (candidate._load_id, candidate._source_row)
        )
        {%- endif -%}
    {%- else -%}
        {{- config(enabled=false) -}}
        {%- do exceptions.warn(
            model.original_file_path ~ " is left out: cities/ declares no source " ~ raw_table
            ~ ", or its manifest is wrong; `make lint` says which"
        ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro _row_of(row, columns) -%}
    row({{ row }}.{{ columns | join(', ' ~ row ~ '.') }})
{%- endmacro %}


{% macro raw_key(raw_table) -%}
    {%- if not execute -%} {{ return(['_load_id']) }} {%- endif -%}
    {{ return(_declared_source(raw_table).config.meta.primary_key) }}
{%- endmacro %}


{# What dbt knows of a raw table. By its id: a loop over all would have dbt serialise each. #}
{% macro _declared_source(raw_table) -%}
    {{ return(graph.sources['source.' ~ project_name ~ '.raw.' ~ raw_table]) }}
{%- endmacro %}


{# The columns of a raw table, as its manifest declares them, without rows. #}
{% macro no_rows(raw_table) -%}
    {%- set columns = [] -%}
    {%- for column in _declared_source(raw_table).columns.values() -%}
        {%- do columns.append("null::" ~ column.data_type ~ " as " ~ column.name) -%}
    {%- endfor -%}
    select {{ columns | join(', ') }} where false
{%- endmacro %}
