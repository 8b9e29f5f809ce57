{{ union_feeds('capital_project') }}
