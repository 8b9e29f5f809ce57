select
    city_id,
    web_day_id,
    visited_on,
    section,
    visits,
    page_views,
    error_pages
from {{ within_as_of('web_day') }} as web_day
