{{ union_feeds('collection_round') }}
