-- What clicks are made with, per day.
WITH per_user AS (
    -- A row is one user on one day; clicks without a user count as one.
    SELECT click_date, device_type, os, browser, user_id, count(*) AS clicks
    FROM silver.clicks
    WHERE device_type IS NOT NULL OR os IS NOT NULL OR browser IS NOT NULL
    GROUP BY click_date, device_type, os, browser, user_id
),
counted AS (
    -- A row is one of them on one day.
    SELECT click_date, device_type, os, browser, CAST(sum(clicks) AS BIGINT) AS clicks, count(user_id) AS users
    FROM per_user
    GROUP BY click_date, device_type, os, browser
)
SELECT
    click_date,
    device_type,
    os,
    browser,
    clicks,
    users,
    CAST(rank() OVER (PARTITION BY click_date ORDER BY clicks DESC) AS BIGINT) AS rank
FROM counted
