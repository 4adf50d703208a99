-- Which pages are clicked most, per day: the most clicked has rank 1.
WITH per_user AS (
    -- A row is one user on one day; clicks without a user count as one.
    SELECT click_date, host, page, user_id, count(*) AS clicks
    FROM silver.clicks
    WHERE page IS NOT NULL
    GROUP BY click_date, host, page, user_id
),
counted AS (
    -- A row is one of them on one day.
    SELECT click_date, host, page, CAST(sum(clicks) AS BIGINT) AS clicks, count(user_id) AS users
    FROM per_user
    GROUP BY click_date, host, page
)
SELECT
    click_date,
    host,
    page,
    clicks,
    users,
    CAST(rank() OVER (PARTITION BY click_date ORDER BY clicks DESC) AS BIGINT) AS rank
FROM counted
