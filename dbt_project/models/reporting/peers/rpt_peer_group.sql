with memberships as (
    {{ peer_groups() }}
)

select
    own.city_id,
    city.city_name,
    own.group_id,
    {{ peer_group_name('own.group_id') }} as group_name,
    city.population,
    city.band_name,
    coalesce(city.region_name, 'not stated') as region_name,
    count(peer.city_id) as n_peers,
    count(peer.city_id) filter (where peer_city.is_simulated) as n_simulated,
    coalesce(
        string_agg(peer_city.city_name, ', ' order by peer_city.city_name), 'No peers'
    ) as peers
from memberships as own
inner join {{ ref('int_peer_city') }} as city on own.city_id = city.city_id
left join memberships as peer
    on
        own.group_id = peer.group_id
        and own.group_key = peer.group_key
        and own.city_id <> peer.city_id
left join {{ ref('int_peer_city') }} as peer_city on peer.city_id = peer_city.city_id
where own.is_loaded
group by
    own.city_id,
    city.city_name,
    own.group_id,
    city.population,
    city.band_name,
    city.region_name
