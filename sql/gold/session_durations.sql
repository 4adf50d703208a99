-- How long sessions last: a histogram per day, in steps of ten seconds up to ten minutes, one for all beyond.
-- Outliers lie more than one and a half times the distance of the quartiles outside of these.
WITH per_second AS (
    -- A row is one length in seconds on one day.
    SELECT session_date, time_spent_seconds AS seconds, count(*) AS sessions
    FROM silver.sessions
    WHERE time_spent_seconds >= 0
    GROUP BY session_date, time_spent_seconds
),
ranked AS (
    -- The same, with how many sessions of the day are no longer, and how many there are.
    SELECT
        session_date,
        seconds,
        sum(sessions) OVER (PARTITION BY session_date ORDER BY seconds) AS no_longer,
        sum(sessions) OVER (PARTITION BY session_date) AS of_day
    FROM per_second
),
quartiles AS (
    -- A row is one day.
    SELECT
        session_date,
        min(seconds) FILTER (WHERE no_longer * 4 >= of_day) AS lower,
        min(seconds) FILTER (WHERE no_longer * 4 >= of_day * 3) AS upper
    FROM ranked
    GROUP BY session_date
),
judged AS (
    -- A row is one length in seconds on one day.
    SELECT
        p.session_date,
        least(p.seconds / 10, 60) * 10 AS from_seconds,
        CASE WHEN p.seconds < 600 THEN (p.seconds / 10 + 1) * 10 END AS below_seconds,
        p.seconds,
        p.sessions,
        p.seconds * 2 > q.upper * 5 - q.lower * 3 OR p.seconds * 2 < q.lower * 5 - q.upper * 3 AS is_outlier
    FROM per_second p
    JOIN quartiles q ON q.session_date = p.session_date
)
SELECT
    session_date,
    from_seconds,
    below_seconds,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    min(seconds) AS shortest_seconds,
    max(seconds) AS longest_seconds,
    CAST(coalesce(sum(sessions) FILTER (WHERE is_outlier), 0) AS BIGINT) AS outliers
FROM judged
GROUP BY session_date, from_seconds, below_seconds
