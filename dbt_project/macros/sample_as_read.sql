{# What the rows of a source are a sample of, by how its newest good load read them; else null. #}
{% macro sample_as_read(load, catalogued) -%}
    case {{ load }}.mode
        when 'snapshot' then {{ catalogued }}.snapshot_sample else {{ catalogued }}.sample
    end
{%- endmacro %}
