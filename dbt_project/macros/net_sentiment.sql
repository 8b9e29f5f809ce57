{% macro sentiment_counts() -%}
    count(*) as n,
        count(*) filter (where sentiment = 'negative') as negatives,
        count(*) filter (where sentiment = 'neutral') as neutrals,
        count(*) filter (where sentiment = 'positive') as positives
{%- endmacro %}


{#
  The scored comments of the months that rpt_area_sentiment_month shows of the city. Those of a month
  that it withholds of their district have no district: their sums would give that month away.
#}
{% macro comments_of_shown_months() -%}
    select
        comment.city_id,
        case when district.net_sentiment is not null then comment.district_id end as district_id,
        comment.submitted_at,
        comment.channel,
        comment.topic,
        comment.sentiment,
        comment.model_name,
        comment.model_version
    from {{ ref('fct_feedback_sentiment') }} as comment
    {%- for join, area, district_id in [
        ('inner', 'city', "'*'"), ('left', 'district', 'comment.district_id')
    ] %}
    {{ join }} join {{ ref('rpt_area_sentiment_month') }} as {{ area }}
        on
            comment.city_id = {{ area }}.city_id
            and {{ district_id }} = {{ area }}.district_id
            and date_trunc('month', comment.submitted_at)::date = {{ area }}.month
            and comment.model_name = {{ area }}.model_name
            and comment.model_version = {{ area }}.model_version
            and {{ area }}.net_sentiment is not null
    {%- endfor %}
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
