-- What happened in a city, for the timelines of all pages: infra/local/superset/events.py asks for
-- the events of the city that a page shows.
select
    event.city_id,
    city.city_name,
    event.first_day,
    event.last_day,
    event.title,
    event.kind,
    event.department as department_id,
    department.department_name,
    event.source_url
from {{ ref('event') }} as event
inner join {{ ref('dim_city') }} as city on event.city_id = city.city_id
left join {{ ref('dim_department') }} as department
    on event.city_id = department.city_id and event.department = department.department_id
