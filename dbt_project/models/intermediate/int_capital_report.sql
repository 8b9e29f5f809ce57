{{ union_feeds('capital_report') }}
