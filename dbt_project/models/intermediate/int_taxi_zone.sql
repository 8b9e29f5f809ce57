{{ union_feeds('taxi_zone') }}
