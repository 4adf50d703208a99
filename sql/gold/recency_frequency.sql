-- How many users were seen how long ago and how often. Recency counts days before the latest session; the
-- highest frequency stands for all beyond it.
WITH latest AS (
    SELECT CAST(max(last_seen_at) AS DATE) AS day
    FROM silver.visit_count
),
bucketed AS (
    -- A row is one user.
    SELECT
        CAST(latest.day - CAST(v.last_seen_at AS DATE) AS BIGINT) AS recency_days,
        least(v.sessions, $highest_frequency) AS frequency,
        v.conversions
    FROM silver.visit_count v
    CROSS JOIN latest
)
SELECT
    recency_days,
    frequency,
    count(*) AS users,
    CAST(sum(conversions) AS BIGINT) AS conversions
FROM bucketed
GROUP BY recency_days, frequency
