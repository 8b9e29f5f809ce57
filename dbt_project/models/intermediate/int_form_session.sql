{{ union_feeds('form_session') }}
