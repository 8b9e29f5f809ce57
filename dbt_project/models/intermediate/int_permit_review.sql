{{ union_feeds('permit_review') }}
