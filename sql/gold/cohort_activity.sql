-- How many visitors of each cohort are active in each week. A cohort are those first seen in the same week;
-- weeks begin on Monday.
WITH active AS (
    -- A row is one visitor in one week.
    SELECT session_week, user_id, min(first_seen_on) AS first_seen_on
    FROM gold.journeys
    WHERE user_id IS NOT NULL
    GROUP BY session_week, user_id
)
SELECT
    session_week,
    first_seen_on - date_part('isodow', first_seen_on) + 1 AS cohort_week,
    count(*) AS active_visitors
FROM active
GROUP BY session_week, cohort_week
