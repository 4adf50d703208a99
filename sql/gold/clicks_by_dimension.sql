-- How much is clicked, per day, by page, element, location, device and claimed device, and by how many users:
-- the most clicked of a dimension has rank 1. Only the columns of a row's dimension are filled.
-- A device has names in one form, a claimed device those that were claimed for it.
WITH sliced AS (
    -- A row is one click under one dimension, of which it says at most three things.
    SELECT click_date, user_id, unnest([
        struct('page' AS dimension, page IS NOT NULL AS is_known,
            host AS first, page AS second, CAST(NULL AS TEXT) AS third),
        struct('element' AS dimension, element_id IS NOT NULL AS is_known,
            element_id AS first, element_text AS second, CAST(NULL AS TEXT) AS third),
        struct('location' AS dimension, country IS NOT NULL OR city IS NOT NULL AS is_known,
            country AS first, city AS second, CAST(NULL AS TEXT) AS third),
        struct('device' AS dimension, device_type IS NOT NULL OR os IS NOT NULL OR browser IS NOT NULL AS is_known,
            device_type AS first, os AS second, browser AS third),
        struct('claimed_device' AS dimension,
            claimed_device_type IS NOT NULL OR claimed_os IS NOT NULL OR claimed_browser IS NOT NULL AS is_known,
            claimed_device_type AS first, claimed_os AS second, claimed_browser AS third)
    ]) AS slice
    FROM silver.clicks
    WHERE NOT is_bot OR $count_bots
),
per_user AS (
    -- A row is one user on one day; clicks without a user count as one.
    SELECT
        click_date,
        slice['dimension'] AS dimension,
        slice['first'] AS first,
        slice['second'] AS second,
        slice['third'] AS third,
        user_id,
        count(*) AS clicks
    FROM sliced
    WHERE slice['is_known']
    GROUP BY click_date, slice['dimension'], slice['first'], slice['second'], slice['third'], user_id
),
counted AS (
    -- A row is one of them on one day.
    SELECT
        click_date,
        dimension,
        first,
        second,
        third,
        CAST(sum(clicks) AS BIGINT) AS clicks,
        count(user_id) AS users
    FROM per_user
    GROUP BY click_date, dimension, first, second, third
)
SELECT
    click_date,
    dimension,
    CASE WHEN dimension = 'page' THEN first END AS host,
    CASE WHEN dimension = 'page' THEN second END AS page,
    CASE WHEN dimension = 'element' THEN first END AS element_id,
    CASE WHEN dimension = 'element' THEN second END AS element_text,
    CASE WHEN dimension = 'location' THEN first END AS country,
    CASE WHEN dimension = 'location' THEN second END AS city,
    CASE WHEN dimension = 'device' THEN first END AS device_type,
    CASE WHEN dimension = 'device' THEN second END AS os,
    CASE WHEN dimension = 'device' THEN third END AS browser,
    CASE WHEN dimension = 'claimed_device' THEN first END AS claimed_device_type,
    CASE WHEN dimension = 'claimed_device' THEN second END AS claimed_os,
    CASE WHEN dimension = 'claimed_device' THEN third END AS claimed_browser,
    clicks,
    users,
    CAST(rank() OVER (PARTITION BY click_date, dimension ORDER BY clicks DESC) AS BIGINT) AS rank
FROM counted
