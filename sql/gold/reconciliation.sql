-- What the source claims beside what its events say, per day: conversions and bounces. These sessions and
-- those of gold.bot_sessions, where bots are left out, are all of silver.sessions.
-- A session converts by its events when it has a submission; it bounces when it has none, and neither views
-- nor time enough to be engaged.
WITH judged AS (
    -- A row is one session.
    SELECT
        session_date,
        coalesce(conversion, false) AS claims_conversion,
        submit_count > 0 AS has_conversion,
        coalesce(bounce, false) AS claims_bounce,
        submit_count = 0
            AND view_count < $engaged_views
            AND coalesce(time_spent_seconds, 0) < $engaged_seconds AS has_bounce
    FROM silver.sessions
    WHERE NOT is_bot OR $count_bots
)
SELECT
    session_date,
    count(*) AS sessions,
    count(*) FILTER (WHERE claims_conversion) AS claimed_conversions,
    count(*) FILTER (WHERE has_conversion) AS derived_conversions,
    count(*) FILTER (WHERE claims_conversion AND NOT has_conversion) AS conversions_only_claimed,
    count(*) FILTER (WHERE has_conversion AND NOT claims_conversion) AS conversions_only_derived,
    count(*) FILTER (WHERE claims_bounce) AS claimed_bounces,
    count(*) FILTER (WHERE has_bounce) AS derived_bounces,
    count(*) FILTER (WHERE claims_bounce AND NOT has_bounce) AS bounces_only_claimed,
    count(*) FILTER (WHERE has_bounce AND NOT claims_bounce) AS bounces_only_derived
FROM judged
GROUP BY session_date
