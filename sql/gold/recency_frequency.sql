-- How many users were seen how long ago and how often. Recency counts days before the latest session; the
-- highest frequency stands for all beyond it.
WITH users AS (
    -- A row is one user.
    SELECT
        user_id,
        max(session_date) AS last_seen_on,
        count(*) AS sessions,
        count(*) FILTER (WHERE is_converting) AS conversions
    FROM gold.journeys
    GROUP BY user_id
),
latest AS (
    SELECT max(last_seen_on) AS day
    FROM users
),
bucketed AS (
    -- A row is one user.
    SELECT
        CAST(latest.day - u.last_seen_on AS BIGINT) AS recency_days,
        least(u.sessions, $highest_frequency) AS frequency,
        u.conversions
    FROM users u
    CROSS JOIN latest
)
SELECT
    recency_days,
    frequency,
    count(*) AS users,
    CAST(sum(conversions) AS BIGINT) AS conversions
FROM bucketed
GROUP BY recency_days, frequency
