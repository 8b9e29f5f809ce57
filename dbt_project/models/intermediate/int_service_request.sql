{{ union_feeds('service_request') }}
