{{ union_feeds('collision') }}
