{{ union_feeds('intended_sentiment') }}
