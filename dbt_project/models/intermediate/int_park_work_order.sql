{{ union_feeds('park_work_order') }}
