with newest as (
    {{ newest_version('demo__section_visits') }}
)

select
    to_char(day, 'YYYY-MM-DD') || ':' || section as web_day_id,
    day as visited_on,
    section,
    visits,
    page_views,
    errors as error_pages,
    _load_id,
    _source_file,
    _source_row
from newest
