-- How long people stay on each page, per day.
WITH per_visitor AS (
    -- A row is one visitor on one page on one day.
    SELECT
        session_date,
        page_path,
        user_id,
        count(*) AS sessions,
        count(*) FILTER (WHERE is_engaged) AS engaged_sessions,
        sum(engaged_seconds) AS time_spent,
        count(engaged_seconds) AS timed_sessions
    FROM silver.sessions
    WHERE NOT is_bot OR $count_bots
    GROUP BY session_date, page_path, user_id
)
SELECT
    session_date,
    page_path,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    count(user_id) AS visitors,
    CAST(coalesce(sum(time_spent), 0) AS BIGINT) AS total_time_spent,
    CAST(sum(time_spent) AS DOUBLE) / nullif(sum(timed_sessions), 0) AS avg_time_spent,
    CAST(sum(engaged_sessions) AS BIGINT) AS engaged_sessions
FROM per_visitor
GROUP BY session_date, page_path
