-- One row per user: how often he comes, since when, and when he was seen last.
WITH per_day AS (
    -- A row is one user on one day.
    SELECT
        user_id,
        session_date,
        count(*) AS sessions,
        count(*) FILTER (WHERE conversion) AS conversions,
        sum(engaged_seconds) AS time_spent
    FROM silver.sessions
    GROUP BY user_id, session_date
)
SELECT
    user_id,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    count(*) AS active_days,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(coalesce(sum(time_spent), 0) AS BIGINT) AS total_time_spent,
    min(session_date) AS first_seen_on,
    max(session_date) AS last_seen_on,
    CAST(max(session_date) - min(session_date) AS DOUBLE) / nullif(count(*) - 1, 0) AS avg_days_between
FROM per_day
GROUP BY user_id
