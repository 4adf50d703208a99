-- From which channel people come to which, per day: the sessions by their channel, by that of the visitor's
-- session before, and by whether that one was on the same day, in the same week, in the same month. A conversion
-- ends a path: the session after it comes from none, as does a visitor's first.
SELECT
    session_date,
    came_from,
    channel,
    coalesce(came_from_on >= session_date, false) AS is_same_day,
    coalesce(came_from_on >= session_week, false) AS is_same_week,
    coalesce(came_from_on > session_date - date_part('day', session_date), false) AS is_same_month,
    count(*) AS sessions,
    count(*) FILTER (WHERE is_converting) AS conversions
FROM gold.journeys
GROUP BY session_date, came_from, channel, is_same_day, is_same_week, is_same_month
