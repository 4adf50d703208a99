-- Where clicks come from, per day, as far as visitors let it be known.
WITH per_user AS (
    -- A row is one user on one day; clicks without a user count as one.
    SELECT click_date, country, city, user_id, count(*) AS clicks
    FROM silver.clicks
    WHERE country IS NOT NULL OR city IS NOT NULL
    GROUP BY click_date, country, city, user_id
),
counted AS (
    -- A row is one of them on one day.
    SELECT click_date, country, city, CAST(sum(clicks) AS BIGINT) AS clicks, count(user_id) AS users
    FROM per_user
    GROUP BY click_date, country, city
)
SELECT
    click_date,
    country,
    city,
    clicks,
    users,
    CAST(rank() OVER (PARTITION BY click_date ORDER BY clicks DESC) AS BIGINT) AS rank
FROM counted
