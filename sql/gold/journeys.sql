-- One row per session: where it came from, and how its visitor came up to it over the sessions within the
-- lookback. Where and when it came from is the session before, if there is one and it did not convert.
-- Weeks begin on Monday and are counted in days: date_trunc goes no further than 1677 to 2262.
WITH visitors AS (
    -- A row is one visitor with all of his sessions that count.
    SELECT
        user_id,
        array_agg(struct(
            timestamp AS at,
            session_id AS id,
            channel AS channel,
            channel = 'Direct' AS is_direct,
            source AS source,
            medium AS medium,
            campaign AS campaign,
            coalesce(conversion, false) AS is_converting
        )) AS touches
    FROM silver.sessions
    WHERE NOT is_bot OR $count_bots
    GROUP BY user_id
),
session_journeys AS (
    -- A row is one session.
    SELECT user_id, unnest(journeys(touches, INTERVAL $lookback, $longest_path)) AS journey
    FROM visitors
)
SELECT
    CAST(journey['touch']['at'] AS DATE) AS session_date,
    CAST(journey['touch']['at'] AS DATE) - date_part('isodow', journey['touch']['at']) + 1 AS session_week,
    user_id,
    journey['touch']['id'] AS session_id,
    journey['touch']['at'] AS timestamp,
    journey['touch']['channel'] AS channel,
    journey['touch']['source'] AS source,
    journey['touch']['medium'] AS medium,
    journey['touch']['campaign'] AS campaign,
    journey['touch']['is_converting'] AS is_converting,
    journey['number'] AS session_number,
    CAST(journey['first_at'] AS DATE) AS first_seen_on,
    journey['seconds_since_last'] AS seconds_since_last,
    journey['touches'] AS touches,
    journey['last_non_direct'] AS last_non_direct,
    journey['path'] AS path,
    CASE WHEN NOT journey['previous']['is_converting'] THEN journey['previous']['channel'] END AS came_from,
    CASE WHEN NOT journey['previous']['is_converting'] THEN CAST(journey['previous']['at'] AS DATE) END AS came_from_on
FROM session_journeys
