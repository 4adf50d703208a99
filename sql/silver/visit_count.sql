-- One row per user: the visits that its sessions claim, each session counted once.
SELECT
    user_id,
    CAST(coalesce(sum(visit_count), 0) AS BIGINT) AS visitor_count,
    count(*) AS sessions,
    min(timestamp) AS first_seen_at,
    max(timestamp) AS last_seen_at
FROM silver.sessions
GROUP BY user_id
