-- Sessions, visitors and conversions per day by each of the report's slicers: device, system, browser, platform, page, channel.
WITH sliced AS (
    -- A row is one session under one of its dimensions.
    SELECT session_date, 'device_type' AS dimension, device_type AS value, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'os', os, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'browser', browser, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'platform', platform, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'page', page_path, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'channel', channel, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
    UNION ALL
    SELECT session_date, 'referrer', referrer, user_id, conversion, bounce, time_spent_seconds FROM silver.sessions
)
SELECT
    session_date,
    dimension,
    value,
    count(*) AS sessions,
    count(DISTINCT user_id) AS visitors,
    count(*) FILTER (WHERE conversion) AS conversions,
    count(*) FILTER (WHERE bounce) AS bounces,
    avg(time_spent_seconds) AS avg_time_spent
FROM sliced
GROUP BY session_date, dimension, value
