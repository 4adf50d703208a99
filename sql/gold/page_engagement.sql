-- How long people stay on each page, per day.
SELECT
    session_date,
    page_path,
    page_url,
    count(*) AS sessions,
    count(DISTINCT user_id) AS visitors,
    CAST(coalesce(sum(time_spent_seconds), 0) AS BIGINT) AS total_time_spent,
    avg(time_spent_seconds) AS avg_time_spent,
    count(*) FILTER (WHERE is_engaged) AS engaged_sessions
FROM silver.sessions
GROUP BY session_date, page_path, page_url
