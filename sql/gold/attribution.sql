-- What of the conversions of a day each campaign gets, by each model: the credits of a day and model add up
-- to its conversions, exactly. Each model shares out every conversion by itself among its own touches;
-- gold.markov_attribution shares out all conversions of a period at once.
WITH touched AS (
    -- A row is one touch of one conversion.
    SELECT
        *,
        count(*) OVER (
            PARTITION BY conversion_date, user_id, conversion_session_id, channel
        ) AS touches_of_channel
    FROM gold.conversion_paths
),
credited AS (
    -- The same; a channel's effect is shared by its touches.
    SELECT
        t.*,
        share(e.removal_effect / t.touches_of_channel) OVER (
            PARTITION BY t.conversion_date, t.user_id, t.conversion_session_id ORDER BY t.touch_number
        ) AS markov_per_conversion
    FROM touched t
    JOIN gold.channel_effects e ON e.session_date = t.conversion_date AND e.channel = t.channel
),
per_campaign AS (
    -- A row is one campaign on one day.
    SELECT
        conversion_date,
        channel,
        source,
        medium,
        campaign,
        sum(first_touch) AS first_touch,
        sum(last_touch) AS last_touch,
        sum(last_non_direct) AS last_non_direct,
        sum(linear) AS linear,
        sum(position_based) AS position_based,
        sum(time_decay) AS time_decay,
        sum(markov_per_conversion) AS markov_per_conversion
    FROM credited
    GROUP BY conversion_date, channel, source, medium, campaign
),
per_model AS (
    -- A row is one campaign on one day by one model.
    SELECT *, unnest([
        struct('first_touch' AS model, first_touch AS credit),
        struct('last_touch' AS model, last_touch AS credit),
        struct('last_non_direct' AS model, last_non_direct AS credit),
        struct('linear' AS model, linear AS credit),
        struct('position_based' AS model, position_based AS credit),
        struct('time_decay' AS model, time_decay AS credit),
        struct('markov_per_conversion' AS model, markov_per_conversion AS credit)
    ]) AS modelled
    FROM per_campaign
)
SELECT
    conversion_date,
    modelled['model'] AS model,
    channel,
    source,
    medium,
    campaign,
    CAST(modelled['credit'] AS DECIMAL(28, 9)) AS credit
FROM per_model
WHERE modelled['credit'] > 0
