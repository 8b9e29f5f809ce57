{#
  The newest version of each row of a raw table: raw appends every version, and the highest
  _load_id of a key is the one that counts. The key comes from the source's manifest. A staging
  model whose manifest is missing or wrong is left out, so that the others can be built.
#}
{% macro newest_version(raw_table) -%}
    {%- if raw_table in raw_tables() -%}
        {%- set key = raw_key(raw_table) -%}
        select distinct on ({{ key | join(', ') }}) *
        from {{ source('raw', raw_table) }}
        order by {{ key | join(', ') }}, _load_id desc, _source_row desc
    {%- else -%}
        {{- config(enabled=false) -}}
        {%- do exceptions.warn(
            model.original_file_path ~ " is left out: cities/ declares no source " ~ raw_table
            ~ ", or its manifest is wrong; `make lint` says which"
        ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro raw_key(raw_table) -%}
    {%- if not execute -%} {{ return(['_load_id']) }} {%- endif -%}
    {%- for node in graph.sources.values()
        if node.source_name == 'raw' and node.name == raw_table -%}
        {{ return(node.config.meta.primary_key) }}
    {%- endfor -%}
{%- endmacro %}
