{{ union_feeds('permit') }}
