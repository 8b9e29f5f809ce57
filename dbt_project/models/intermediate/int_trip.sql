{{ union_feeds('trip') }}
