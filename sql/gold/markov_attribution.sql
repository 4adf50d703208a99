-- What of the conversions of a day, week, month, or of all time each channel gets by Markov chains as published:
-- one chain over all paths of the period, and all of its conversions in the proportion of the removal effects.
-- A path is the sessions of a visitor in the period, up to a conversion or to the last. What channels get in a
-- period adds up to its conversions; periods do not add up to each other, as each has a chain of its own.
-- Weeks begin on Monday; `all` has no beginning.
WITH dated AS (
    -- A row is one transition to a channel on one day, under one of the day's periods. It begins a path where the
    -- session before lies outside of the period.
    SELECT channel, sessions, conversions, unnest([
        struct('day' AS name, session_date AS starts_on, CASE WHEN is_same_day THEN came_from END AS came_from),
        struct('week' AS name, session_date - date_part('isodow', session_date) + 1 AS starts_on,
            CASE WHEN is_same_week THEN came_from END AS came_from),
        struct('month' AS name, session_date - date_part('day', session_date) + 1 AS starts_on,
            CASE WHEN is_same_month THEN came_from END AS came_from),
        struct('all' AS name, CAST(NULL AS DATE) AS starts_on, came_from AS came_from)
    ]) AS period
    FROM gold.channel_transitions
),
per_period AS (
    -- A row is one period.
    SELECT
        period['name'] AS period,
        period['starts_on'] AS starts_on,
        sum(conversions) AS conversions,
        removal_effects(period['came_from'], channel, sessions, conversions) AS effects
    FROM dated
    GROUP BY period['name'], period['starts_on']
),
per_channel AS (
    -- A row is one channel in one period.
    SELECT period, starts_on, conversions, unnest(effects) AS effect
    FROM per_period
)
SELECT
    period,
    starts_on,
    effect['channel'] AS channel,
    effect['removal_effect'] AS removal_effect,
    CAST(conversions * share(effect['removal_effect']) OVER (
        PARTITION BY period, starts_on ORDER BY effect['channel']
    ) AS DECIMAL(28, 9)) AS credit
FROM per_channel
