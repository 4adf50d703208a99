-- One row per session (session_date, user_id, session_id), the newest delivery, typed.
-- Session ids repeat between users, and a session belongs to the UTC day on which it began.
-- What the source claims (bounce, conversion, is_returning_visitor, visit_count, platform, utm_medium,
-- utm_campaign) stays as claimed; source, medium and campaign are these claims in one form. What it claims
-- of device, system and browser is in claimed_…; device_type, os and browser are these in the names that
-- clicks have too, and where nothing is claimed, what the user agent says. Bots are marked, and they stay.
-- _ingested_at tells whether a session lay in the future when it came.
WITH typed AS (
    -- A row is one delivered record, with its time and its user agent read and its claims brought to one form.
    SELECT
        *,
        instant(timestamp) AS started_at,
        touch(utm_source, utm_medium, utm_campaign, referrer, page_url) AS touch,
        user_agent(user_agent) AS agent
    FROM bronze.web_sessions
)
SELECT
    CAST(started_at AS DATE) AS session_date,
    user_id,
    session_id,
    started_at AS timestamp,
    user_agent,
    coalesce(device_name(device_type), agent['device_type']) AS device_type,
    coalesce(system_name(os), agent['os']) AS os,
    coalesce(browser_name(browser), agent['browser']) AS browser,
    device_type AS claimed_device_type,
    os AS claimed_os,
    browser AS claimed_browser,
    coalesce(agent['is_bot'], false) AS is_bot,
    agent['bot_reason'] AS bot_reason,
    regexp_replace(page_url, '[^a-zA-Z0-9- ]', '', 'g') AS page_url,
    split_part(split_part(regexp_replace(page_url, '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*', ''), '#', 1), '?', 1)
        AS page_path,
    referrer,
    utm_source AS platform,
    utm_medium,
    utm_campaign,
    touch['channel'] AS channel,
    touch['source'] AS source,
    touch['medium'] AS medium,
    touch['campaign'] AS campaign,
    touch['click_id'] AS click_id,
    events,
    CAST(coalesce(array_length(events), 0) AS BIGINT) AS event_count,
    count_events(events, 'view') AS view_count,
    count_events(events, 'click') AS click_count,
    count_events(events, 'submit') AS submit_count,
    time_spent_seconds,
    CASE
        WHEN time_spent_seconds < 0 THEN 0
        WHEN time_spent_seconds > $longest_session_seconds THEN $longest_session_seconds
        ELSE time_spent_seconds
    END AS engaged_seconds,
    coalesce(time_spent_seconds >= $engaged_seconds, false)
        OR coalesce(conversion, false)
        OR count_events(events, 'view') >= $engaged_views AS is_engaged,
    is_returning_visitor,
    visit_count,
    bounce,
    conversion,
    _source,
    _position,
    _batch,
    _ingested_at
FROM typed
