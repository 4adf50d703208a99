-- Which campaigns bring sessions, visitors and conversions, per day; a session counts for the claim it carries.
SELECT
    session_date,
    platform,
    utm_medium,
    utm_campaign,
    channel,
    count(*) AS sessions,
    count(DISTINCT user_id) AS visitors,
    count(*) FILTER (WHERE conversion) AS conversions,
    count(*) FILTER (WHERE bounce) AS bounces,
    count(*) FILTER (WHERE is_engaged) AS engaged_sessions,
    avg(time_spent_seconds) AS avg_time_spent,
    CAST(count(*) FILTER (WHERE conversion) AS DOUBLE) / count(*) AS conversion_rate,
    CAST(count(*) FILTER (WHERE bounce) AS DOUBLE) / count(*) AS bounce_rate,
    CAST(count(*) FILTER (WHERE is_engaged) AS DOUBLE) / count(*) AS engagement_rate
FROM silver.sessions
GROUP BY session_date, platform, utm_medium, utm_campaign, channel
