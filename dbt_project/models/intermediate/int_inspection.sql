{{ union_feeds('inspection') }}
