-- Which campaigns bring sessions, visitors and conversions, per day; a session counts for the claim it carries.
-- A campaign is its source, medium and campaign in one form, with their channel; beside them are the claims as
-- claimed (platform, utm_medium, utm_campaign), so a campaign written in two ways has two rows.
WITH per_visitor AS (
    -- A row is one visitor under one claim on one day: counting them needs no set of visitors in memory.
    SELECT
        session_date,
        channel,
        source,
        medium,
        campaign,
        platform,
        utm_medium,
        utm_campaign,
        user_id,
        count(*) AS sessions,
        count(*) FILTER (WHERE conversion) AS conversions,
        count(*) FILTER (WHERE bounce) AS bounces,
        count(*) FILTER (WHERE is_engaged) AS engaged_sessions,
        sum(engaged_seconds) AS time_spent,
        count(engaged_seconds) AS timed_sessions
    FROM silver.sessions
    WHERE NOT is_bot OR $count_bots
    GROUP BY session_date, channel, source, medium, campaign, platform, utm_medium, utm_campaign, user_id
)
SELECT
    session_date,
    channel,
    source,
    medium,
    campaign,
    platform,
    utm_medium,
    utm_campaign,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    count(user_id) AS visitors,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(sum(bounces) AS BIGINT) AS bounces,
    CAST(sum(engaged_sessions) AS BIGINT) AS engaged_sessions,
    CAST(sum(time_spent) AS DOUBLE) / nullif(sum(timed_sessions), 0) AS avg_time_spent,
    CAST(sum(conversions) AS DOUBLE) / sum(sessions) AS conversion_rate,
    CAST(sum(bounces) AS DOUBLE) / sum(sessions) AS bounce_rate,
    CAST(sum(engaged_sessions) AS DOUBLE) / sum(sessions) AS engagement_rate
FROM per_visitor
GROUP BY session_date, channel, source, medium, campaign, platform, utm_medium, utm_campaign
