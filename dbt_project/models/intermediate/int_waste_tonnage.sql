{{ union_cities(
    ['stg_nyc__waste_tonnage', 'stg_demo__waste_tonnage'],
    [
        'city_id',
        'waste_tonnage_id',
        'stated_district_id',
        'month_start',
        'told_until',
        'refuse_tons',
        'paper_tons',
        'metal_glass_plastic_tons',
        'organics_tons',
        'other_tons',
    ],
) }}
