-- Which elements people click and submit, per day, and how many of their sessions convert.
WITH per_session AS (
    -- A row is one element and kind of event within one session.
    SELECT
        session_date,
        element_id,
        event_type,
        user_id,
        session_id,
        count(*) AS events,
        bool_or(coalesce(conversion, false)) AS is_converting
    FROM silver.final_cookies
    WHERE event_type IN ('click', 'submit') AND (NOT is_bot OR $count_bots)
    GROUP BY session_date, element_id, event_type, user_id, session_id
)
SELECT
    session_date,
    element_id,
    event_type,
    CAST(sum(events) AS BIGINT) AS events,
    count(*) AS sessions,
    count(*) FILTER (WHERE is_converting) AS converting_sessions,
    CAST(count(*) FILTER (WHERE is_converting) AS DOUBLE) / count(*) AS conversion_rate,
    CAST(sum(events) AS DOUBLE) / count(*) AS events_per_session
FROM per_session
GROUP BY session_date, element_id, event_type
