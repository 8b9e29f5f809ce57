{{ union_feeds('feedback') }}
