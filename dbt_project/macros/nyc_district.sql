{#
  '07 QUEENS' as 407: the borough's digit and two digits of the district. Null for
  '0 Unspecified' and 'Unspecified QUEENS'.
#}
{% macro nyc_district(community_board) -%}
    {{ nyc_borough_digit("substring(" ~ community_board ~ " from '^\\d{1,2} (.+)$')") }}
    || lpad(substring({{ community_board }} from '^(\d{1,2}) '), 2, '0')
{%- endmacro %}


{% macro nyc_borough_digit(borough) -%}
    case upper({{ borough }})
        when 'MANHATTAN' then '1'
        when 'BRONX' then '2'
        when 'BROOKLYN' then '3'
        when 'QUEENS' then '4'
        when 'STATEN ISLAND' then '5'
    end
{%- endmacro %}
