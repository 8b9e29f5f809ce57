{{ union_cities(
    ['int_nyc_district', 'stg_demo__districts'],
    [
        'city_id',
        'district_id',
        'district_name',
        'population',
        'is_residential',
        'geometry',
    ],
) }}
