-- One row per session: where it came from, and how its visitor came up to it over the sessions within the
-- lookback. Weeks begin on Monday and are counted in days: date_trunc goes no further than 1677 to 2262.
WITH visitors AS (
    -- A row is one visitor with all of his sessions.
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
    GROUP BY user_id
),
ways AS (
    -- A row is one session.
    SELECT user_id, unnest(journeys(touches, INTERVAL $lookback, $longest_path)) AS way
    FROM visitors
)
SELECT
    CAST(way['touch']['at'] AS DATE) AS session_date,
    CAST(way['touch']['at'] AS DATE) - date_part('isodow', way['touch']['at']) + 1 AS session_week,
    user_id,
    way['touch']['id'] AS session_id,
    way['touch']['at'] AS timestamp,
    way['touch']['channel'] AS channel,
    way['touch']['source'] AS source,
    way['touch']['medium'] AS medium,
    way['touch']['campaign'] AS campaign,
    way['touch']['is_converting'] AS is_converting,
    way['number'] AS session_number,
    CAST(way['first_at'] AS DATE) AS first_seen_on,
    way['seconds_since_last'] AS seconds_since_last,
    way['touches'] AS touches,
    way['last_non_direct'] AS last_non_direct,
    way['path'] AS path
FROM ways
