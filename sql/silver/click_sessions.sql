-- One row per session of a user: clicks with less than the session gap between them, and no longer than the
-- longest session. Clicks without a user belong to no session. Those of bots make sessions of their own,
-- numbered by themselves.
WITH numbered AS (
    -- A row is one click of a user, with which of his sessions it belongs to.
    SELECT
        user_id,
        is_bot,
        click_id,
        clicked_at,
        url,
        page,
        session_number(clicked_at, INTERVAL $session_gap, INTERVAL $longest_session) OVER (
            PARTITION BY user_id, is_bot ORDER BY clicked_at, click_id
        ) AS session_number
    FROM silver.clicks
    WHERE user_id IS NOT NULL
),
sessions AS (
    -- A row is one session.
    SELECT
        user_id,
        is_bot,
        session_number,
        min(clicked_at) AS started_at,
        max(clicked_at) AS ended_at,
        count(*) AS clicks,
        count(DISTINCT page) AS pages,
        first_value(click_id ORDER BY clicked_at, click_id) AS first_click_id,
        first_value(page ORDER BY clicked_at, click_id) AS landing_page,
        last_value(page ORDER BY clicked_at, click_id) AS exit_page
    FROM numbered
    GROUP BY user_id, is_bot, session_number
)
SELECT
    CAST(started_at AS DATE) AS session_date,
    user_id,
    is_bot,
    session_number,
    substr(encode(digest(concat_ws(chr(31), user_id, CAST(started_at AS TEXT), first_click_id), 'blake3'), 'hex'), 1, 32)
        AS session_id,
    started_at,
    ended_at,
    (CAST(ended_at AS BIGINT) - CAST(started_at AS BIGINT)) / 1000000.0 AS duration_seconds,
    clicks,
    pages,
    landing_page,
    exit_page
FROM sessions
