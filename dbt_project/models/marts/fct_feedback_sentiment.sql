-- Of one model and version only: two versions never mix in one series.
select
    feedback.city_id,
    feedback.feedback_id,
    feedback.source_id,
    feedback.district_id,
    feedback.channel,
    feedback.submitted_at,
    feedback.topic,
    score.sentiment,
    score.probability,
    score.model_name,
    score.model_version
from {{ ref('fct_feedback') }} as feedback
inner join {{ source('ml', 'feedback_score') }} as score
    on
        feedback.city_id = score.city_id
        and feedback.feedback_id = score.feedback_id
inner join {{ source('ml', 'champion') }} as champion
    on
        score.model_name = champion.model_name
        and score.model_version = champion.model_version
where champion.model_name = '{{ var("sentiment_model") }}'
