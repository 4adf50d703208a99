-- What became of the clicks that were delivered, per day: how many were kept, were those of bots, were
-- duplicates, or were wrong and why. Each delivery has one outcome. Clicks without a time have no day.
WITH counted AS (
    -- A row is one kind of clicks of one day; what is right is a duplicate but for one delivery of each.
    SELECT click_date, coalesce(problem, 'duplicate') AS outcome, count(*) AS events
    FROM silver.click_events
    GROUP BY click_date, problem
    UNION ALL
    SELECT click_date, 'duplicate' AS outcome, -count(*) AS events
    FROM silver.clicks
    GROUP BY click_date
    UNION ALL
    SELECT click_date, CASE WHEN NOT is_bot OR $count_bots THEN 'kept' ELSE 'bot' END AS outcome, count(*) AS events
    FROM silver.clicks
    GROUP BY click_date, is_bot
)
SELECT
    click_date,
    outcome,
    CAST(sum(events) AS BIGINT) AS events
FROM counted
GROUP BY click_date, outcome
HAVING sum(events) > 0
