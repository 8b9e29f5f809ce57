{{ union_cities(
    [
        'stg_demo__survey_comments',
        'stg_demo__email_comments',
        'stg_demo__app_reviews',
        'stg_demo__council_comments',
    ],
    [
        'city_id',
        'feedback_id',
        'district_id',
        'channel',
        'submitted_at',
        'topic',
        'language',
        'text',
    ],
) }}
