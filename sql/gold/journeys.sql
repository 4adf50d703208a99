-- One row per session: how its visitor came up to it, over the sessions within the lookback.
WITH visitors AS (
    -- A row is one visitor with all of his sessions.
    SELECT user_id, array_agg(struct(timestamp, session_id, channel, coalesce(conversion, false))) AS touches
    FROM silver.sessions
    GROUP BY user_id
),
ways AS (
    -- A row is one session.
    SELECT user_id, unnest(journeys(touches, INTERVAL $lookback, $longest_path)) AS way
    FROM visitors
)
SELECT
    CAST(way['at'] AS DATE) AS session_date,
    user_id,
    way['id'] AS session_id,
    way['at'] AS timestamp,
    way['number'] AS session_number,
    way['seconds_since_last'] AS seconds_since_last,
    way['is_converting'] AS is_converting,
    way['touches'] AS touches,
    way['path'] AS path
FROM ways
