-- How many visitors of each cohort are active in each week. A cohort are those first seen in the same week;
-- weeks begin on Monday.
WITH active AS (
    -- A row is one visitor in one week.
    SELECT DISTINCT session_week, user_id
    FROM silver.sessions
)
SELECT
    a.session_week,
    CAST(date_trunc('week', v.first_seen_at) AS DATE) AS cohort_week,
    count(*) AS active_visitors
FROM active a
JOIN silver.visit_count v ON v.user_id = a.user_id
GROUP BY a.session_week, cohort_week
