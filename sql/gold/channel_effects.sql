-- What each channel is worth, per day: the part of the day's conversions that would be lost without it
-- (Markov chains over all paths of the day, converting or not), and its share of them.
WITH per_day AS (
    -- A row is one day.
    SELECT
        session_date,
        sum(conversions) AS conversions,
        removal_effects(path, journeys, conversions) AS effects
    FROM gold.path_summary
    GROUP BY session_date
),
per_channel AS (
    -- A row is one channel on one day.
    SELECT session_date, conversions, unnest(effects) AS effect
    FROM per_day
)
SELECT
    session_date,
    effect['channel'] AS channel,
    effect['removal_effect'] AS removal_effect,
    effect['share'] AS share,
    conversions * effect['share'] AS conversions
FROM per_channel
