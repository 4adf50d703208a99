-- Sessions, conversions and time per day by each of the report's slicers: device, system, browser, source, page,
-- channel, referrer. These are names in one form; what was claimed for them is a slicer of its own: platform
-- for the source, and those that begin with claimed_.
WITH per_combination AS (
    -- A row is one combination of all dimensions on one day: far fewer rows than sessions.
    SELECT
        session_date,
        device_type,
        os,
        browser,
        source,
        claimed_device_type,
        claimed_os,
        claimed_browser,
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
    WHERE NOT is_bot OR $count_bots
    GROUP BY
        session_date, device_type, os, browser, source, claimed_device_type, claimed_os, claimed_browser, platform,
        page_path, channel, referrer
),
sliced AS (
    -- A row is one combination under one of its dimensions.
    SELECT *, unnest([
        struct('device_type' AS dimension, device_type AS value),
        struct('os' AS dimension, os AS value),
        struct('browser' AS dimension, browser AS value),
        struct('source' AS dimension, source AS value),
        struct('claimed_device_type' AS dimension, claimed_device_type AS value),
        struct('claimed_os' AS dimension, claimed_os AS value),
        struct('claimed_browser' AS dimension, claimed_browser AS value),
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
