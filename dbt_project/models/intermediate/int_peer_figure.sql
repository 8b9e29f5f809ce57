{{ union_feeds('peer_figure') }}
