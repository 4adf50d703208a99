-- How far sessions get, per day and channel: page view, click on a call to action, form submission,
-- conversion, each later than the one before, and the time in between. What lies in the future of the
-- record that tells it did not happen.
WITH clicked AS (
    -- A row is one session, which is a page view, with the first click on a call to action.
    SELECT
        session_date,
        channel,
        timestamp AS viewed_at,
        events,
        coalesce(conversion, false) AS is_converting,
        first_event(events, struct(timestamp AS at, CAST(-1 AS BIGINT) AS place), 'click', $call_to_action) AS click,
        _ingested_at + INTERVAL $clock_skew AS latest
    FROM silver.sessions
    WHERE NOT is_bot OR $count_bots
),
submitted AS (
    -- The same, with the first submission after that click.
    SELECT *, first_event(events, click, 'submit', '') AS submission
    FROM clicked
),
timed AS (
    -- The same, with the microseconds to the click and on to the submission, NULL without these. Far more
    -- of them than a BIGINT holds may have to be added.
    SELECT
        *,
        CASE
            WHEN click['at'] <= latest
                THEN CAST(CAST(click['at'] AS BIGINT) - CAST(viewed_at AS BIGINT) AS DECIMAL(38, 0))
        END AS to_click,
        CASE
            WHEN submission['at'] <= latest
                THEN CAST(CAST(submission['at'] AS BIGINT) - CAST(click['at'] AS BIGINT) AS DECIMAL(38, 0))
        END AS to_submission
    FROM submitted
),
per_channel AS (
    -- A row is one channel on one day, with times in seconds; as whole microseconds they add up exactly. A
    -- conversion is claimed for the session and has no time of its own.
    SELECT
        session_date,
        channel,
        count(*) AS views,
        count(to_click) AS clicks,
        count(to_submission) AS submissions,
        count(to_submission) FILTER (WHERE is_converting) AS conversions,
        CAST(sum(to_click) AS DOUBLE) / nullif(count(to_click), 0) / 1000000 AS to_click,
        CAST(sum(to_submission) AS DOUBLE) / nullif(count(to_submission), 0) / 1000000 AS to_submission
    FROM timed
    GROUP BY session_date, channel
),
per_step AS (
    -- A row is one step of one channel on one day.
    SELECT session_date, channel, views, unnest([
        struct(1 AS step, 'page_view' AS name, views AS sessions, views AS before, CAST(NULL AS DOUBLE) AS seconds),
        struct(2 AS step, 'call_to_action' AS name, clicks AS sessions, views AS before, to_click AS seconds),
        struct(3 AS step, 'submission' AS name, submissions AS sessions, clicks AS before, to_submission AS seconds),
        struct(4 AS step, 'conversion' AS name, conversions AS sessions, submissions AS before, CAST(NULL AS DOUBLE) AS seconds)
    ]) AS reached
    FROM per_channel
)
SELECT
    session_date,
    channel,
    reached['step'] AS step,
    reached['name'] AS name,
    reached['sessions'] AS sessions,
    CAST(reached['sessions'] AS DOUBLE) / views AS rate,
    CAST(reached['sessions'] AS DOUBLE) / nullif(reached['before'], 0) AS step_rate,
    reached['seconds'] AS avg_seconds_since_step
FROM per_step
