{{ union_feeds('district_population') }}
