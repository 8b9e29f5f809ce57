select
    own.city_id,
    own.city_name,
    own.group_id,
    own.group_name,
    own.metric_id,
    own.metric_name,
    own.field,
    own.period_months,
    own.period_length,
    own.period_start,
    own.period,
    member.city_id as member_id,
    city.city_name as member_name,
    case
        when city.is_simulated then 'Simulated'
        when city.is_loaded then 'Records here'
        else 'Its own figures'
    end as kind,
    member.city_id = own.city_id as is_own,
    member.n,
    member.months_covered,
    member.value,
    {{ measure_text('member.value', 'definition') }} as value_text,
    member.definition_version,
    member.rank,
    member.left_out,
    {{ left_out_text('member', 'definition') }} as left_out_text
from {{ ref('rpt_peer_standing') }} as own
inner join {{ ref('int_peer_rank') }} as own_rank
    on
        own.city_id = own_rank.city_id
        and own.group_id = own_rank.group_id
        and own.metric_id = own_rank.metric_id
        and own.period_months = own_rank.period_months
        and own.period_start = own_rank.period_start
inner join {{ ref('int_peer_rank') }} as member
    on
        own_rank.group_id = member.group_id
        and own_rank.group_key = member.group_key
        and own_rank.metric_id = member.metric_id
        and own_rank.period_months = member.period_months
        and own_rank.period_start = member.period_start
inner join {{ ref('int_peer_city') }} as city on member.city_id = city.city_id
inner join {{ ref('kpi_definition') }} as definition on own.metric_id = definition.metric_id
where own.is_newest
