-- What the champion reads, against what the simulated residents meant.
select
    scored.city_id,
    scored.model_name,
    scored.model_version,
    scored.channel,
    meant.intended_sentiment,
    scored.sentiment as read_sentiment,
    scored.sentiment = meant.intended_sentiment as agrees,
    count(*) as n
from {{ ref('fct_feedback_sentiment') }} as scored
inner join {{ ref('stg_demo__intended_sentiment') }} as meant
    on scored.city_id = meant.city_id and scored.feedback_id = meant.feedback_id
group by
    scored.city_id,
    scored.model_name,
    scored.model_version,
    scored.channel,
    meant.intended_sentiment,
    scored.sentiment
