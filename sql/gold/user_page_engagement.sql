-- How long each user stays on each page, per day.
SELECT
    session_date,
    user_id,
    page_path,
    count(*) AS sessions,
    CAST(coalesce(sum(engaged_seconds), 0) AS BIGINT) AS total_time_spent,
    avg(engaged_seconds) AS avg_time_spent
FROM silver.sessions
WHERE NOT is_bot OR $count_bots
GROUP BY session_date, user_id, page_path
