{{ union_feeds('web_day') }}
