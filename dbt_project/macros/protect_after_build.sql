{#
  Grants and row-level security by the tier that the model declares, in the transaction that makes
  the relation: dbt replaces tables, and their rights go with the old one. And when it was built, by
  which pages drop answers that they kept. See warehouse/tiers.py.
#}
{% macro protect_after_build(relation) -%}
    {%- if execute -%}
        {%- set meta = model.config.meta or {} -%}
        {%- set name = model.name.split('_')[1:] | join('_') -%}
        {%- set fact = meta.get('fact_rows') or (name if name in facts()) -%}
        {#- A view of intermediate shows what its reader may read of the tables behind it. -#}
        {%- set is_work = relation.schema == 'intermediate' -%}
        {%- set by_row = meta.get('fact') or (is_work and model.config.materialized == 'view') -%}
        {%- set tier = 'source' if by_row else meta.get('tier', 'restricted') -%}
        {%- set stricter = {} -%}
        {%- for column in model.columns.values() if column.meta and column.meta.get('tier') -%}
            {%- do stricter.update({column.name: column.meta.tier}) -%}
        {%- endfor -%}
        select access.protect(
            '{{ relation.schema }}.{{ relation.identifier }}'::regclass, '{{ tier }}',
            {{ "'" ~ fact ~ "'" if fact else 'null' }}, '{{ tojson(stricter) }}'
        ),
        access.note_built('{{ relation.schema }}.{{ relation.identifier }}'::regclass)
    {%- endif -%}
{%- endmacro %}
