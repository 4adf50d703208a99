-- How many users were seen how long ago and how often. Recency counts days before the latest session.
WITH latest AS (
    SELECT max(last_seen_on) AS day
    FROM gold.user_activity
),
bucketed AS (
    -- A row is one user.
    SELECT
        CAST(latest.day - u.last_seen_on AS BIGINT) AS recency_days,
        least(u.sessions, 10) AS sessions,
        u.conversions
    FROM gold.user_activity u
    CROSS JOIN latest
)
SELECT
    recency_days,
    sessions AS frequency,
    count(*) AS users,
    CAST(sum(conversions) AS BIGINT) AS conversions
FROM bucketed
GROUP BY recency_days, sessions
