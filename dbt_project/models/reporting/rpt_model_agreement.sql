-- What the champion reads, against what the simulated residents intended.
select
    scored.city_id,
    scored.model_name,
    scored.model_version,
    scored.channel,
    intended.intended_sentiment,
    scored.sentiment as read_sentiment,
    scored.sentiment = intended.intended_sentiment as agrees,
    count(*) as n
from {{ ref('fct_feedback_sentiment') }} as scored
inner join {{ ref('int_intended_sentiment') }} as intended
    on scored.city_id = intended.city_id and scored.feedback_id = intended.feedback_id
group by
    scored.city_id,
    scored.model_name,
    scored.model_version,
    scored.channel,
    intended.intended_sentiment,
    scored.sentiment
