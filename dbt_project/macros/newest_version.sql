{#
  The newest version of each row of a raw table: raw appends every version, and the highest
  _load_id of a key is the one that counts. The key comes from the source's manifest.
#}
{% macro newest_version(raw_table) -%}
    {%- set key = raw_key(raw_table) -%}
    select distinct on ({{ key | join(', ') }}) *
    from {{ source('raw', raw_table) }}
    order by {{ key | join(', ') }}, _load_id desc, _source_row desc
{%- endmacro %}


{% macro raw_key(raw_table) -%}
    {%- if not execute -%} {{ return(['_load_id']) }} {%- endif -%}
    {%- for node in graph.sources.values()
        if node.source_name == 'raw' and node.name == raw_table -%}
        {{ return(node.config.meta.primary_key) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        "raw has no table " ~ raw_table ~ "; is its manifest under cities/? Then: make generate"
    ) }}
{%- endmacro %}
