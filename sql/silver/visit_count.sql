-- One row per user: the visits that its sessions claim, each session counted once; how often it comes,
-- since when, and when it was seen last. Sessions of bots count; first_human_at is the first of the others.
WITH per_day AS (
    -- A row is one user on one day.
    SELECT
        user_id,
        session_date,
        sum(CAST(visit_count AS DECIMAL(38, 0))) AS visits,
        count(*) AS sessions,
        count(*) FILTER (WHERE conversion) AS conversions,
        min(timestamp) AS first_seen_at,
        max(timestamp) AS last_seen_at,
        min(timestamp) FILTER (WHERE NOT is_bot) AS first_human_at
    FROM silver.sessions
    GROUP BY user_id, session_date
)
SELECT
    user_id,
    TRY_CAST(coalesce(sum(visits), 0) AS BIGINT) AS visitor_count,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    min(first_seen_at) AS first_seen_at,
    max(last_seen_at) AS last_seen_at,
    count(*) AS active_days,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(max(session_date) - min(session_date) AS DOUBLE) / nullif(count(*) - 1, 0) AS avg_days_between,
    min(first_human_at) AS first_human_at
FROM per_day
GROUP BY user_id
