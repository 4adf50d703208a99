-- How much each channel matters on each day: the part of the day's conversions that would be lost without it
-- (a Markov chain over the ways that led up to the day's sessions, converting or not), and its part of all
-- channels' effects. The model markov_per_conversion of gold.attribution weighs touches by it.
WITH per_day AS (
    -- A row is one day.
    SELECT session_date, removal_effects(path, journeys, conversions) AS effects
    FROM gold.path_summary
    GROUP BY session_date
),
per_channel AS (
    -- A row is one channel on one day.
    SELECT session_date, unnest(effects) AS effect
    FROM per_day
)
SELECT
    session_date,
    effect['channel'] AS channel,
    effect['removal_effect'] AS removal_effect,
    effect['share'] AS share
FROM per_channel
