-- Weekly retention: of the visitors first seen in a week, how many are active in it and in those after it.
-- The week of the latest session is not over: its numbers are NULL.
WITH latest AS (
    SELECT max(session_week) AS week
    FROM gold.cohort_activity
),
cells AS (
    -- A row is one cohort in one week up to the latest.
    SELECT
        c.cohort_week,
        c.active_visitors AS visitors,
        latest.week AS latest_week,
        unnest(range(0, (latest.week - c.cohort_week) / 7 + 1)) AS week_number
    FROM gold.cohort_activity c
    CROSS JOIN latest
    WHERE c.session_week = c.cohort_week
),
weeks AS (
    -- The same, with the day on which the week begins: days as numbers reach further than intervals.
    SELECT *, CAST(CAST(cohort_week AS BIGINT) + week_number * 7 AS DATE) AS week
    FROM cells
)
SELECT
    w.cohort_week,
    w.week_number,
    w.week,
    w.visitors,
    CASE WHEN w.week < w.latest_week THEN coalesce(a.active_visitors, 0) END AS active_visitors,
    CASE WHEN w.week < w.latest_week
        THEN CAST(coalesce(a.active_visitors, 0) AS DOUBLE) / w.visitors
    END AS retention
FROM weeks w
LEFT JOIN gold.cohort_activity a ON a.cohort_week = w.cohort_week AND a.session_week = w.week
