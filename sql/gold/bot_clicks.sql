-- The clicks of bots, per day, and why they are taken for bots: what the other tables leave out. They are
-- counted here whether or not $count_bots counts them there.
WITH per_user AS (
    -- A row is one user taken for a bot for one reason on one day; clicks without a user count as one.
    SELECT click_date, bot_reason, user_id, count(*) AS clicks
    FROM silver.clicks
    WHERE is_bot
    GROUP BY click_date, bot_reason, user_id
)
SELECT
    click_date,
    bot_reason,
    CAST(sum(clicks) AS BIGINT) AS clicks,
    count(user_id) AS users
FROM per_user
GROUP BY click_date, bot_reason
