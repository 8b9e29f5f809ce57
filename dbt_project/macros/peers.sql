{#
  The groups that each city is compared in: one row a city and group. `group_key` is what its members
  have in common; null where that is not known.
#}
{% macro peer_groups() -%}
    select
        city.city_id,
        city.is_loaded,
        kind.group_id,
        case kind.group_id
            when 'band_region' then city.band_order || ' ' || city.region_id
            when 'band' then city.band_order::text
            when 'region' then city.region_id
            else ''
        end as group_key
    from {{ ref('int_peer_city') }} as city
    cross join (values ('band_region'), ('band'), ('region'), ('*')) as kind (group_id)
{%- endmacro %}

{# Which cities are compared, in words. #}
{% macro peer_group_name(group_id) -%}
    case {{ group_id }}
        when 'band_region' then 'Same population and region'
        when 'band' then 'Same population'
        when 'region' then 'Same region'
        else 'All cities'
    end
{%- endmacro %}

{#
  Why a city is left out of a comparison, in words; null where it takes part. `brief`: without what
  it is a sample of.
#}
{% macro left_out_text(row, definition, brief=false) -%}
    case {{ row }}.left_out
        when 'no_source' then 'No source of this'
        when 'not_covered'
            then
                case
                    when {{ row }}.period_months = 1 then 'No figure of this month'
                    else 'No figure of these months; its own may end in another month'
                end
        when 'other_definition'
            then
                'Another definition: version ' || {{ row }}.definition_version || ', here '
                || {{ row }}.version_here
        when 'sample' then 'A sample'{{ '' if brief else " || ': ' || " ~ row ~ ".sample" }}
        when 'not_full'
            then
                case
                    when {{ row }}.period_months = 1 then 'Month not complete'
                    else
                        {{ row }}.months_covered || ' of ' || {{ row }}.period_months
                        || ' months complete'
                end
        when 'too_few'
            then 'Too few: ' || {{ row }}.n || ', at least ' || {{ definition }}.min_n
        when 'no_value' then 'No figure, or one that is withheld'
    end
{%- endmacro %}

{# A period in words: a month, or the first and last of several. #}
{% macro peer_period_text(row) -%}
    case when {{ row }}.period_months > 1 then to_char({{ row }}.period_start, 'Mon YYYY') || ' to '
        else ''
    end
    || to_char(
        {{ row }}.period_start + make_interval(months => {{ row }}.period_months - 1), 'Mon YYYY'
    )
{%- endmacro %}
