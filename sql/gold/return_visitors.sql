-- How many visitors come back, per day: by what the source claims, and by the day each was first seen.
WITH per_visitor AS (
    -- A row is one visitor on one day.
    SELECT
        session_date,
        user_id,
        bool_or(claims_return) AS claims_return,
        count(*) AS sessions,
        min(first_seen_on) AS first_seen_on
    FROM gold.journeys
    WHERE user_id IS NOT NULL
    GROUP BY session_date, user_id
)
SELECT
    session_date,
    count(*) AS visitors,
    count(*) FILTER (WHERE claims_return) AS returning_visitors,
    count(*) FILTER (WHERE first_seen_on = session_date) AS new_visitors,
    count(*) FILTER (WHERE first_seen_on < session_date) AS known_visitors,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(count(*) FILTER (WHERE claims_return) AS DOUBLE) / count(*) AS returning_rate,
    CAST(count(*) FILTER (WHERE first_seen_on < session_date) AS DOUBLE) / count(*) AS known_rate
FROM per_visitor
GROUP BY session_date
