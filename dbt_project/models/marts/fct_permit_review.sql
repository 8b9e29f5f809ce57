{{ config(pre_hook=joins_by_hash()) }}

with timed as (
    select
        review.*,
        received_day.business_days as business_days_by_receipt,
        answered_day.business_days as business_days_by_answer
    from {{ within_as_of('permit_review') }} as review
    left join {{ ref('int_business_day') }} as received_day
        on
            review.city_id = received_day.city_id
            and review.received_at::date = received_day.day
    left join {{ ref('int_business_day') }} as answered_day
        on
            review.city_id = answered_day.city_id
            and review.answered_at::date = answered_day.day
)

select
    city_id,
    review_id,
    permit_id,
    review_round,
    district_id,
    received_at,
    answered_at,
    outcome,
    business_days_by_answer - business_days_by_receipt as business_days_in_review,
    -- A round before this one that is not known, or not answered, gives the applicant no time.
    case
        when lag(review_round) over rounds = review_round - 1
            then business_days_by_receipt - lag(business_days_by_answer) over rounds
    end as applicant_business_days
from timed
window rounds as (partition by city_id, permit_id order by review_round, review_id)
