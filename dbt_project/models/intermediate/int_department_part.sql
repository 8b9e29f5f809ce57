{{ config(materialized='table', pre_hook=joins_by_hash()) }}

{%- set on_time = declared_indicator('closed_on_time_pct') -%}
{%- set overdue = declared_indicator('overdue_open_pct') -%}
{%- set closing = declared_indicator('median_days_to_close') -%}

-- The trailing year of a department's requests by service and by district, which fct_kpi does not
-- have. The expressions are the indicators' own, and so are the months.
with years as (
    select
        year.city_id,
        year.metric_id,
        year.department_id,
        year.n,
        month.period_start as month,
        month.null_reason in ('too_few', 'derivable') as is_withheld,
        sum(month.n) over (
            partition by year.city_id, year.metric_id, year.department_id
        ) as n_of_all
    from {{ ref('int_kpi_value') }} as year
    inner join {{ ref('int_kpi_value') }} as month
        on
            year.city_id = month.city_id
            and year.metric_id = month.metric_id
            and year.department_id = month.department_id
            and year.definition_version = month.definition_version
            and year.period_start <= month.period_start
            and year.period_end > month.period_start
    where
        year.period_grain = 'trailing_12_months'
        and year.metric_id in ('closed_on_time_pct', 'median_days_to_close')
        and year.district_id = '*'
        and month.period_grain = 'month'
        and month.is_complete
        and month.district_id = '*'
),

-- Where the year leaves withheld months out, its parts do, too: the month could be had from them.
months as materialized (
    select
        city_id,
        metric_id,
        department_id,
        month
    from years
    where n = n_of_all or is_withheld is not true
),

due as (
    select
        city_id,
        department_id,
        service_id,
        district_id,
        date_trunc('month', {{ on_time.event_at }})::date as month,
        count(*) filter (where {{ on_time.where }}) as n,
        sum(({{ on_time.numerator }})::numeric) filter (where {{ on_time.where }}) as numerator,
        sum(({{ overdue.numerator }})::numeric) filter (where {{ overdue.where }}) as overdue
    from {{ ref('fct_service_request') }}
    where {{ on_time.event_at }} >= (select min(months.month) from months)
    group by
        city_id,
        department_id,
        service_id,
        district_id,
        date_trunc('month', {{ on_time.event_at }})
),

closed as (
    select
        city_id,
        department_id,
        service_id,
        district_id,
        date_trunc('month', {{ closing.event_at }})::date as month,
        ({{ closing.sample }})::double precision as sample
    from {{ ref('fct_service_request') }}
    where
        {{ closing.event_at }} >= (select min(months.month) from months)
        and ({{ closing.where }})
        and ({{ closing.sample }}) is not null
),

dues as (
    select
        due.city_id,
        due.department_id,
        due.service_id,
        due.district_id,
        grouping(due.department_id, due.service_id, due.district_id) as cut,
        sum(due.n)::bigint as n,
        sum(due.numerator)::bigint as numerator,
        sum(due.overdue)::bigint as overdue
    from due
    inner join months
        on
            due.city_id = months.city_id
            and due.department_id = months.department_id
            and due.month = months.month
            and months.metric_id = 'closed_on_time_pct'
    group by due.city_id, {{ department_cuts('due') }}
),

closings as (
    select
        closed.city_id,
        closed.department_id,
        closed.service_id,
        closed.district_id,
        grouping(closed.department_id, closed.service_id, closed.district_id) as cut,
        count(*) as n,
        percentile_cont(array[0.5, 0.9]) within group (order by closed.sample) as found
    from closed
    inner join months
        on
            closed.city_id = months.city_id
            and closed.department_id = months.department_id
            and closed.month = months.month
            and months.metric_id = 'median_days_to_close'
    group by closed.city_id, {{ department_cuts('closed') }}
),

-- Of all months: what is open now.
backlog as (
    select
        request.city_id,
        request.department_id,
        request.service_id,
        request.district_id,
        grouping(request.department_id, request.service_id, request.district_id) as cut,
        count(*) filter (where request.is_open) as n_open,
        count(*) filter (where request.is_open and request.is_due) as n_open_overdue,
        count(*) filter (where request.is_open and request.due_at is null) as n_open_without_due
    from {{ ref('fct_service_request') }} as request
    group by request.city_id, {{ department_cuts('request') }}
),

named as (
    {%- for cte in ('dues', 'closings', 'backlog') %}
        select
            '{{ cte }}' as part,
            city_id,
            {{ part_of_cut('department_id', 4) }} as department_id,
            {{ part_of_cut('service_id', 2) }} as service_id,
            {{ part_of_cut('district_id', 1) }} as district_id,
            {{ 'n' if cte == 'dues' else 'null::bigint' }} as n_due,
            {{ 'numerator' if cte == 'dues' else 'null::bigint' }} as n_on_time,
            {{ 'overdue' if cte == 'dues' else 'null::bigint' }} as n_overdue,
            {{ 'n' if cte == 'closings' else 'null::bigint' }} as n_closed,
            {{ 'found[1]' if cte == 'closings' else 'null::double precision' }} as median_days,
            {{ 'found[2]' if cte == 'closings' else 'null::double precision' }} as p90_days,
            {{ 'n_open' if cte == 'backlog' else 'null::bigint' }} as n_open,
            {{ 'n_open_overdue' if cte == 'backlog' else 'null::bigint' }} as n_open_overdue,
            {{ 'n_open_without_due' if cte == 'backlog' else 'null::bigint' }} as n_open_without_due
        from {{ cte }}
        {{- ' union all' if not loop.last }}
    {%- endfor %}
),

cells as (
    select
        city_id,
        department_id,
        service_id,
        district_id,
        coalesce(max(n_due), 0) as n,
        coalesce(max(n_on_time), 0) as n_on_time,
        coalesce(max(n_overdue), 0) as n_overdue,
        coalesce(max(n_closed), 0) as n_closed,
        max(median_days) as median_days,
        max(p90_days) as p90_days,
        coalesce(max(n_open), 0) as n_open,
        coalesce(max(n_open_overdue), 0) as n_open_overdue,
        coalesce(max(n_open_without_due), 0) as n_open_without_due
    from named
    -- Requests without a district, or department, are in the totals only.
    where district_id is not null and department_id is not null
    group by city_id, department_id, service_id, district_id
),

definitions as (
    select
        max(min_n) filter (where metric_id = 'closed_on_time_pct') as min_due,
        max(scale) filter (where metric_id = 'closed_on_time_pct') as scale,
        max(min_n) filter (where metric_id = 'median_days_to_close') as min_median,
        max(min_n) filter (where metric_id = 'p90_days_to_close') as min_p90
    from {{ ref('kpi_definition') }}
),

limited as (
    select
        cells.*,
        definitions.*
    from cells
    cross join definitions
),

by_district as (
    select * from limited
    where service_id = '*'
),

by_service as (
    select * from limited
    where district_id = '*'
),

{{ withheld_cells(
    'districts', 'by_district', ['district_id', 'department_id'], ['city_id'], 'min_due'
) }},

{{ withheld_cells(
    'services', 'by_service', ['service_id', 'department_id'], ['city_id'], 'min_due'
) }},

withheld as (
    select
        city_id,
        department_id,
        service_id,
        district_id,
        bool_or(is_withheld) as is_withheld
    from (
        select
            city_id,
            department_id,
            service_id,
            district_id,
            is_withheld
        from districts
        union all
        select
            city_id,
            department_id,
            service_id,
            district_id,
            is_withheld
        from services
    ) as parts
    group by city_id, department_id, service_id, district_id
),

suppressed as (
    select
        limited.*,
        case
            when limited.n = 0 then 'no_events'
            when limited.n < limited.min_due then 'too_few'
            when withheld.is_withheld then 'derivable'
        end as null_reason
    from limited
    inner join withheld
        on
            limited.city_id = withheld.city_id
            and limited.department_id = withheld.department_id
            and limited.service_id = withheld.service_id
            and limited.district_id = withheld.district_id
)

select
    city_id,
    department_id,
    service_id,
    district_id,
    n as requests_due,
    case
        when null_reason is null
            then round(n_on_time * scale::numeric / n, 6)::double precision
    end as closed_on_time_pct,
    null_reason as closed_on_time_pct_null_reason,
    case when null_reason is null then n_overdue end as requests_overdue,
    n_closed as requests_closed_by_work,
    case when n_closed >= min_median then round(median_days::numeric, 6)::double precision end
        as median_days_to_close,
    case when n_closed >= min_p90 then round(p90_days::numeric, 6)::double precision end
        as p90_days_to_close,
    n_open as open_now,
    -- Where no open request has a due time, how many are overdue is unknown.
    case when n_open = 0 or n_open > n_open_without_due then n_open_overdue end as overdue_now,
    n_open_without_due as open_without_due_date
from suppressed
where department_id <> '*'
