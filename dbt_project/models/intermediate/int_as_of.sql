{{ config(materialized='table') }}

select
    city_id,
    fact,
    max(as_of) as as_of
from {{ ref('int_source_as_of') }}
where as_of is not null
group by city_id, fact
