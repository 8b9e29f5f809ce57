{{ union_cities(
    ['stg_nyc__service_requests', 'stg_demo__service_requests'],
    [
        'city_id',
        'service_request_id',
        'stated_district_id',
        'department_id',
        'department_name',
        'service_name',
        'descriptor',
        'channel',
        'status',
        'opened_at',
        'closed_at',
        'due_at',
        'latitude',
        'longitude',
    ],
) }}
