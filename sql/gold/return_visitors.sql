-- How many visitors come back, per day: by what the source claims, and by the day each was first seen, of the
-- sessions that count.
WITH per_visitor AS (
    -- A row is one visitor on one day.
    SELECT
        s.session_date,
        s.user_id,
        bool_or(coalesce(s.is_returning_visitor, false)) AS claims_return,
        count(*) AS sessions,
        min(CAST(CASE WHEN $count_bots THEN v.first_seen_at ELSE v.first_human_at END AS DATE)) AS first_seen_on
    FROM silver.sessions s
    JOIN silver.visit_count v ON v.user_id = s.user_id
    WHERE NOT s.is_bot OR $count_bots
    GROUP BY s.session_date, s.user_id
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
