-- What became of the clicks that were delivered, per day: how many were kept, were duplicates, or were wrong
-- and why. Clicks without a time have no day.
WITH per_click AS (
    -- A row is one click, however often it was delivered.
    SELECT click_date, problem, click_id, count(*) AS deliveries
    FROM silver.click_events
    GROUP BY click_date, problem, click_id
),
judged AS (
    -- A row is one click under one outcome.
    SELECT click_date, unnest([
        struct(coalesce(problem, 'kept') AS outcome, CASE WHEN problem IS NULL THEN 1 ELSE deliveries END AS events),
        struct('duplicate' AS outcome, CASE WHEN problem IS NULL THEN deliveries - 1 ELSE 0 END AS events)
    ]) AS judgement
    FROM per_click
)
SELECT
    click_date,
    judgement['outcome'] AS outcome,
    CAST(sum(judgement['events']) AS BIGINT) AS events
FROM judged
WHERE judgement['events'] > 0
GROUP BY click_date, judgement['outcome']
