-- One row per user: the visits that its sessions claim, each session counted once.
SELECT
    user_id,
    TRY_CAST(coalesce(sum(CAST(visit_count AS DECIMAL(38, 0))), 0) AS BIGINT) AS visitor_count,
    count(*) AS sessions,
    min(timestamp) AS first_seen_at,
    max(timestamp) AS last_seen_at
FROM silver.sessions
GROUP BY user_id
