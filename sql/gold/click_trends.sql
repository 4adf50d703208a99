-- How much is clicked, per day and hour (UTC), and by how many users.
WITH per_user AS (
    -- A row is one user in one hour; clicks without a user count as one.
    SELECT click_date, CAST(date_part('hour', clicked_at) AS BIGINT) AS hour, user_id, count(*) AS clicks
    FROM silver.clicks
    WHERE NOT is_bot OR $count_bots
    GROUP BY click_date, hour, user_id
)
SELECT
    click_date,
    hour,
    CAST(sum(clicks) AS BIGINT) AS clicks,
    count(user_id) AS users
FROM per_user
GROUP BY click_date, hour
