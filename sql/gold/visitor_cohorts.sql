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
        CAST(unnest(generate_series(
            CAST(c.cohort_week AS TIMESTAMP), CAST(latest.week AS TIMESTAMP), INTERVAL '7 days'
        )) AS DATE) AS week
    FROM gold.cohort_activity c
    CROSS JOIN latest
    WHERE c.session_week = c.cohort_week
)
SELECT
    cells.cohort_week,
    CAST((cells.week - cells.cohort_week) / 7 AS BIGINT) AS week_number,
    cells.week,
    cells.visitors,
    CASE WHEN cells.week < cells.latest_week THEN coalesce(a.active_visitors, 0) END AS active_visitors,
    CASE WHEN cells.week < cells.latest_week
        THEN CAST(coalesce(a.active_visitors, 0) AS DOUBLE) / cells.visitors
    END AS retention
FROM cells
LEFT JOIN gold.cohort_activity a ON a.cohort_week = cells.cohort_week AND a.session_week = cells.week
