-- One row per event of a session; a session without events keeps one row whose event is NULL.
-- The thirteen columns of the original report come first, in its order and with what the source claimed.
WITH exploded AS (
    -- A row is one event, with its place in the session.
    SELECT
        *,
        unnest_outer(events) AS event,
        unnest_outer(range(0, CAST(coalesce(array_length(events), 0) AS BIGINT))) AS event_index
    FROM silver.sessions
)
SELECT
    session_id,
    user_id,
    timestamp,
    claimed_device_type AS device_type,
    claimed_os AS os,
    claimed_browser AS browser,
    page_url,
    referrer,
    platform,
    event['event_type'] AS event_type,
    time_spent_seconds,
    is_returning_visitor,
    visit_count,
    event['element_id'] AS element_id,
    instant(event['timestamp']) AS event_timestamp,
    event_index,
    utm_medium,
    utm_campaign,
    bounce,
    conversion,
    session_date,
    is_bot,
    _source,
    _position,
    _batch
FROM exploded
