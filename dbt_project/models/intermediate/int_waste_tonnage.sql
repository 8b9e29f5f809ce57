{{ union_feeds('waste_tonnage') }}
