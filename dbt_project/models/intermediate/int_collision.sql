{{ union_cities(
    ['stg_nyc__collisions', 'stg_demo__collisions'],
    [
        'city_id',
        'collision_id',
        'stated_district_id',
        'occurred_at',
        'persons_injured',
        'persons_killed',
        'latitude',
        'longitude',
    ],
) }}
