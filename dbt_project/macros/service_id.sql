{#
  A service's name as an id: 'Noise - Residential' is noise_residential.

  Letters of every script are kept, for a transliteration would depend on the language ('Bäder' is
  baeder in German and bader in English) and ids must not change. Whatever separates words becomes
  `_`: white space, punctuation and symbols, by Unicode's blocks rather than a collation's classes,
  which differ between servers. A name of nothing else gets a hash, so that no id is empty.
#}
{% macro service_id(service_name) -%}
    coalesce(
        nullif(
            trim(both '_' from regexp_replace(
                lower(normalize({{ service_name }}, NFKC)),
                '[{{ word_separators() }}]+',
                '_',
                'g'
            )),
            ''
        ),
        'service_' || left(md5({{ service_name }}), 8)
    )
{%- endmacro %}


{# As a reader compares two names: without case and without what is not part of a word at the ends. #}
{% macro comparable_name(service_name) -%}
    regexp_replace(
        lower(normalize({{ service_name }}, NFKC)),
        '^[{{ word_separators() }}]+|[{{ word_separators() }}]+$',
        '',
        'g'
    )
{%- endmacro %}


{#
  Characters that are no part of a word, for a regular expression's brackets. ASCII and Latin-1;
  then the punctuation of Greek, Armenian, Hebrew, Arabic, Devanagari; general punctuation and
  symbols; CJK and vertical punctuation; private use, variation selectors, emoji.
#}
{% macro word_separators() -%}
    \u0001-\u002F\u003A-\u0060\u007B-\u00BF\u00D7\u00F7
    {{- '\\u037E\\u0387\\u055A-\\u055F\\u0589-\\u058A\\u05BE\\u05C0\\u05C3\\u05F3-\\u05F4' -}}
    {{- '\\u060C\\u061B\\u061F\\u066A-\\u066D\\u06D4\\u0964-\\u0965' -}}
    {{- '\\u2000-\\u2BFF\\u2E00-\\u2E7F\\u3000-\\u3020\\u3030' -}}
    {{- '\\uE000-\\uF8FF\\uFE00-\\uFE1F\\uFE30-\\uFE6F\\uFEFF\\U0001F000-\\U0001FAFF' -}}
{%- endmacro %}
