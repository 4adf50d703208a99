-- How long sessions last: a histogram per day in steps of equal length, the last of them for all beyond.
-- Outliers lie further outside of the quartiles than so many times the distance of these.
WITH per_second AS (
    -- A row is one length in seconds on one day.
    SELECT session_date, time_spent_seconds AS seconds, count(*) AS sessions
    FROM silver.sessions
    WHERE time_spent_seconds >= 0 AND (NOT is_bot OR $count_bots)
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
reaching AS (
    -- The same, with how far outside of them is not far yet; claims may be as large as a BIGINT.
    SELECT *, CAST(upper - lower AS DOUBLE) * $outlier_distance AS reach
    FROM quartiles
),
judged AS (
    -- A row is one length in seconds on one day.
    SELECT
        p.session_date,
        CASE
            WHEN p.seconds < $last_step_seconds THEN p.seconds / $step_seconds * $step_seconds
            ELSE $last_step_seconds
        END AS from_seconds,
        CASE
            WHEN p.seconds < $last_step_seconds
                THEN least((p.seconds / $step_seconds + 1) * $step_seconds, $last_step_seconds)
        END AS below_seconds,
        p.seconds,
        p.sessions,
        p.seconds > q.upper + q.reach OR p.seconds < q.lower - q.reach AS is_outlier
    FROM per_second p
    JOIN reaching q ON q.session_date = p.session_date
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
