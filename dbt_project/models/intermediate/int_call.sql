{{ union_feeds('call') }}
