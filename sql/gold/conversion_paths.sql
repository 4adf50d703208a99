-- One row per conversion and touch: the sessions within the lookback that led up to it, oldest first, and
-- what part of it each touch gets by each model. The parts of a conversion under one model add up to 1.
WITH touched AS (
    -- A row is one conversion and one session of its visitor up to it; the converting one is the last.
    SELECT
        c.session_date AS conversion_date,
        c.user_id,
        c.session_id AS conversion_session_id,
        c.timestamp AS converted_at,
        t.session_number - c.session_number + c.touches AS touch_number,
        c.touches,
        t.session_id,
        t.timestamp AS touched_at,
        (CAST(c.timestamp AS BIGINT) - CAST(t.timestamp AS BIGINT)) / 1000000.0 AS seconds_before,
        t.channel,
        t.source,
        t.medium,
        t.campaign,
        t.session_number = c.last_non_direct AS is_last_non_direct
    FROM gold.journeys c
    JOIN gold.journeys t
        ON t.user_id = c.user_id
        AND t.session_number > c.session_number - c.touches
        AND t.session_number <= c.session_number
    WHERE c.is_converting
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
    source,
    medium,
    campaign,
    CAST(CASE WHEN touch_number = 1 THEN 1 ELSE 0 END AS DECIMAL(10, 9)) AS first_touch,
    CAST(CASE WHEN touch_number = touches THEN 1 ELSE 0 END AS DECIMAL(10, 9)) AS last_touch,
    CAST(CASE WHEN is_last_non_direct THEN 1 ELSE 0 END AS DECIMAL(10, 9)) AS last_non_direct,
    share(1) OVER path AS linear,
    share(CASE
        WHEN touch_number IN (1, touches) THEN $outer_touch_weight
        ELSE CAST($inner_touches_weight AS DOUBLE) / (touches - 2)
    END) OVER path AS position_based,
    share(power(2.0, -seconds_before / (86400.0 * $half_life_days))) OVER path AS time_decay
FROM touched
WINDOW path AS (PARTITION BY user_id, converted_at, conversion_session_id ORDER BY touch_number)
