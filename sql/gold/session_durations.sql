-- How long sessions last: a histogram per day, in steps of ten seconds up to ten minutes, one for all beyond.
SELECT
    session_date,
    least(time_spent_seconds / 10, 60) * 10 AS from_seconds,
    CASE WHEN time_spent_seconds < 600 THEN (time_spent_seconds / 10 + 1) * 10 END AS below_seconds,
    count(*) AS sessions,
    min(time_spent_seconds) AS shortest_seconds,
    max(time_spent_seconds) AS longest_seconds
FROM silver.sessions
WHERE time_spent_seconds >= 0
GROUP BY session_date, from_seconds, below_seconds
