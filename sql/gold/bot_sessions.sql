-- The sessions of bots, per day, and why they are taken for bots: what the other tables leave out. They are
-- counted here whether or not $count_bots counts them there.
WITH per_visitor AS (
    -- A row is one visitor taken for a bot for one reason on one day.
    SELECT
        session_date,
        bot_reason,
        user_id,
        count(*) AS sessions,
        count(*) FILTER (WHERE conversion) AS conversions,
        count(*) FILTER (WHERE bounce) AS bounces
    FROM silver.sessions
    WHERE is_bot
    GROUP BY session_date, bot_reason, user_id
)
SELECT
    session_date,
    bot_reason,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    count(user_id) AS visitors,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(sum(bounces) AS BIGINT) AS bounces
FROM per_visitor
GROUP BY session_date, bot_reason
