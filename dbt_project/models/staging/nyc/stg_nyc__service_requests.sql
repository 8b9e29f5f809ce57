with newest as (
    {{ newest_version('nyc__service_requests') }}
),

read as (
    select
        *,
        {{ nyc_district('community_board') }} as stated_district_id,
        -- A state that is not here passes as it is: marts take it for unknown, and a test names it.
        -- The portal does not say what Draft, Email Sent and Unspecified mean for a request.
        case
            when lower(status) in ('open', 'unassigned') then 'open'
            when lower(status) in ('in progress', 'assigned', 'started', 'pending')
                then 'in_progress'
            when lower(status) in ('closed', 'closed - testing') then 'closed'
            when lower(status) in ('cancel', 'unable to process') then 'cancelled'
            else lower(status)
        end as conformed_status
    from newest
)

select
    unique_key as service_request_id,
    stated_district_id,
    lower(agency) as department_id,
    agency_name as department_name,
    complaint_type as service_name,
    descriptor,
    lower(coalesce(open_data_channel_type, 'unknown')) as channel,
    conformed_status as status,
    created_date as opened_at,
    -- The portal writes 1900-01-01 for a closing time that it does not know, and keeps closing
    -- times of requests that are open again.
    case
        when conformed_status = 'closed' and closed_date >= created_date then closed_date
    end as closed_at,
    due_date as due_at,
    nullif(latitude, 0) as latitude,
    nullif(longitude, 0) as longitude,
    _load_id,
    _source_file,
    _source_row
from read
