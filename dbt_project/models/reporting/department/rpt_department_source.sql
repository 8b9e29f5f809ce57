{{ config(materialized='view', meta={'tier': 'source'}) }}

-- The sources of a department's figures: those that it keeps, and those of the requests that it
-- answers. A view on rpt_department, so that a reader sees the departments that are the reader's.
select
    department.city_id,
    department.city_name,
    department.department_id,
    department.department_name,
    source.source_id,
    source.title,
    source.owner,
    case
        when source.department_id = department.department_id then 'keeps it'
        else 'its requests'
    end as part,
    source.as_of,
    source.is_old,
    source.is_sample,
    source.is_stale,
    source.status,
    source.newest_load_at,
    source.rows_quarantined,
    source.n_unknown_state,
    source.reason,
    source.note
from {{ ref('rpt_department') }} as department
inner join {{ ref('rpt_service_status') }} as source on department.city_id = source.city_id
where
    source.department_id = department.department_id
    or (source.feeds = 'service_request' and department.requests_due is not null)
