{% macro sentiment_counts() -%}
    count(*) as n,
        count(*) filter (where sentiment = 'negative') as negatives,
        count(*) filter (where sentiment = 'neutral') as neutrals,
        count(*) filter (where sentiment = 'positive') as positives
{%- endmacro %}


{#
  The counts, null below the minimum of n: small numbers would identify people, and would allow the
  net sentiment to be computed.
#}
{% macro sentiment_counts_reported(counts, min_n) -%}
    {%- for part in ['negatives', 'neutrals', 'positives'] -%}
    case when {{ counts }}.n >= {{ min_n }} then {{ counts }}.{{ part }} end as {{ part }}
    {{- ",
    " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#
  (positive - negative) / n with its 95 % confidence interval (normal approximation); all null
  below the minimum of n, and where `suppressed`.
#}
{% macro net_sentiment_columns(counts, min_n, suppressed='false') -%}
    {%- set net = "(" ~ counts ~ ".positives - " ~ counts ~ ".negatives)::numeric / " ~ counts ~ ".n" -%}
    {%- set spread = "1.96 * sqrt(((" ~ counts ~ ".positives + " ~ counts ~ ".negatives)::numeric / "
        ~ counts ~ ".n - (" ~ net ~ ") ^ 2) / " ~ counts ~ ".n)" -%}
    {%- for name, expression in [
        ('net_sentiment', net),
        ('net_sentiment_low', "greatest(-1, " ~ net ~ " - " ~ spread ~ ")"),
        ('net_sentiment_high', "least(1, " ~ net ~ " + " ~ spread ~ ")"),
    ] -%}
    case when {{ counts }}.n >= {{ min_n }} and not ({{ suppressed }})
        then round({{ expression }}, 6)::double precision
    end as {{ name }}{{ ",
    " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
