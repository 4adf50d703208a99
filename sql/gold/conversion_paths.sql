-- One row per conversion and touch: the sessions within the lookback that led up to it, oldest first, and
-- what part of it each touch gets by each model. The parts of a conversion under one model add up to 1.
WITH touched AS (
    -- A row is one conversion and one session of its visitor up to it; the converting one is the last.
    SELECT
        c.user_id,
        CAST(c.timestamp AS DATE) AS conversion_date,
        c.session_id AS conversion_session_id,
        c.timestamp AS converted_at,
        t.session_id,
        t.timestamp AS touched_at,
        t.channel,
        t.source AS platform,
        t.medium,
        t.campaign,
        row_number() OVER (
            PARTITION BY c.user_id, c.timestamp, c.session_id
            ORDER BY t.timestamp DESC, t.session_id DESC
        ) AS from_end,
        count(*) FILTER (WHERE t.channel <> 'Direct') OVER (
            PARTITION BY c.user_id, c.timestamp, c.session_id
            ORDER BY t.timestamp DESC, t.session_id DESC
            ROWS UNBOUNDED PRECEDING
        ) AS non_direct_from_end
    FROM silver.sessions c
    JOIN silver.sessions t
        ON t.user_id = c.user_id
        AND t.timestamp >= c.timestamp - INTERVAL $lookback
        AND (t.timestamp < c.timestamp OR (t.timestamp = c.timestamp AND t.session_id <= c.session_id))
    WHERE c.conversion
),
numbered AS (
    -- The same, without what is further back than the longest path.
    SELECT
        *,
        row_number() OVER (
            PARTITION BY user_id, converted_at, conversion_session_id ORDER BY from_end DESC
        ) AS touch_number,
        count(*) FILTER (WHERE channel <> 'Direct') OVER (
            PARTITION BY user_id, converted_at, conversion_session_id ORDER BY from_end DESC
            ROWS UNBOUNDED PRECEDING
        ) AS non_direct_so_far
    FROM touched
    WHERE from_end <= $longest_path
),
weighed AS (
    -- The same, with the weight of the touch in models that need more than its number.
    SELECT
        *,
        CAST(touch_number + from_end AS BIGINT) - 1 AS touches,
        (CAST(converted_at AS BIGINT) - CAST(touched_at AS BIGINT)) / 1000000.0 AS seconds_before,
        CASE
            WHEN channel <> 'Direct' AND non_direct_from_end = 1 THEN 1
            WHEN from_end = 1 AND non_direct_so_far = 0 THEN 1
            ELSE 0
        END AS is_last_non_direct,
        CASE
            WHEN touch_number = 1 OR from_end = 1 THEN 0.4
            ELSE 0.2 / (touch_number + from_end - 3)
        END AS position_weight
    FROM numbered
)
SELECT
    conversion_date,
    user_id,
    conversion_session_id,
    converted_at,
    touch_number,
    touches,
    session_id,
    touched_at,
    CAST(seconds_before AS BIGINT) AS seconds_before,
    channel,
    platform,
    medium,
    campaign,
    CAST(CASE WHEN touch_number = 1 THEN 1 ELSE 0 END AS DECIMAL(10, 9)) AS first_touch,
    CAST(CASE WHEN from_end = 1 THEN 1 ELSE 0 END AS DECIMAL(10, 9)) AS last_touch,
    CAST(is_last_non_direct AS DECIMAL(10, 9)) AS last_non_direct,
    share(1) OVER path AS linear,
    share(position_weight) OVER path AS position_based,
    share(power(2.0, -seconds_before / (86400.0 * $half_life_days))) OVER path AS time_decay
FROM weighed
WINDOW path AS (PARTITION BY user_id, converted_at, conversion_session_id ORDER BY touch_number)
