-- How long and how busy the sessions of each user are.
SELECT
    user_id,
    count(*) AS sessions,
    CAST(sum(clicks) AS BIGINT) AS clicks,
    avg(duration_seconds) AS avg_session_seconds,
    max(duration_seconds) AS longest_session_seconds,
    CAST(sum(clicks) AS DOUBLE) / count(*) AS clicks_per_session,
    min(started_at) AS first_seen_at,
    max(ended_at) AS last_seen_at
FROM silver.click_sessions
WHERE NOT is_bot OR $count_bots
GROUP BY user_id
