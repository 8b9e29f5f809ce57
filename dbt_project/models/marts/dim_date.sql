select
    day::date as date_day,
    extract(year from day)::integer as year,
    extract(quarter from day)::integer as quarter,
    extract(month from day)::integer as month,
    date_trunc('month', day)::date as month_start,
    date_trunc('week', day)::date as week_start,
    extract(isodow from day)::integer as weekday,
    trim(to_char(day, 'Day')) as weekday_name,
    extract(isodow from day) >= 6 as is_weekend
from generate_series('1990-01-01'::timestamp, '2035-12-31'::timestamp, interval '1 day') as day
