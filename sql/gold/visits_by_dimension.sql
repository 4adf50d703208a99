-- Sessions, conversions and time per day by each of the report's slicers: device, system, browser, platform, page, channel, referrer.
WITH per_combination AS (
    -- A row is one combination of all dimensions on one day: far fewer rows than sessions.
    SELECT
        session_date,
        device_type,
        os,
        browser,
        platform,
        page_path,
        channel,
        referrer,
        count(*) AS sessions,
        count(*) FILTER (WHERE conversion) AS conversions,
        count(*) FILTER (WHERE bounce) AS bounces,
        sum(engaged_seconds) AS time_spent,
        count(engaged_seconds) AS timed_sessions
    FROM silver.sessions
    GROUP BY session_date, device_type, os, browser, platform, page_path, channel, referrer
),
sliced AS (
    -- A row is one combination under one of its dimensions.
    SELECT *, unnest([
        struct('device_type' AS dimension, device_type AS value),
        struct('os' AS dimension, os AS value),
        struct('browser' AS dimension, browser AS value),
        struct('platform' AS dimension, platform AS value),
        struct('page' AS dimension, page_path AS value),
        struct('channel' AS dimension, channel AS value),
        struct('referrer' AS dimension, referrer AS value)
    ]) AS slice
    FROM per_combination
)
SELECT
    session_date,
    slice['dimension'] AS dimension,
    slice['value'] AS value,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(sum(bounces) AS BIGINT) AS bounces,
    CAST(sum(time_spent) AS DOUBLE) / nullif(sum(timed_sessions), 0) AS avg_time_spent
FROM sliced
GROUP BY session_date, slice['dimension'], slice['value']
