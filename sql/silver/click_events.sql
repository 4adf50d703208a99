-- One row per delivered click, whatever its shape: typed, with what is wrong with it, if anything is.
-- What it claims of the device is in claimed_…; device_type, os and browser are these in the names that
-- sessions have too, and where nothing is claimed, what the user agent says. Bots are marked, and they stay.
-- A click without an id is told from others by all that it says. A click without a time has no day, and
-- neither has one whose time cannot be right.
WITH parsed AS (
    -- A row is one delivered record, with its time, address and browser read.
    SELECT
        *,
        instant(timestamp) AS clicked_at,
        coalesce(nullif(url, ''), nullif("pageUrl", '')) AS address,
        url_parts(coalesce(nullif(url, ''), nullif("pageUrl", ''))) AS parts,
        touch(NULL, NULL, NULL, referrer, coalesce(nullif(url, ''), nullif("pageUrl", ''))) AS touch,
        user_agent(user_agent) AS agent
    FROM bronze.clicks
),
shaped AS (
    -- The same, with the shape that it was sent in, and what is wrong with its time.
    SELECT
        *,
        CASE
            WHEN clicked_at IS NULL THEN 'no time'
            WHEN CAST(clicked_at AS DATE) < DATE $earliest THEN 'time too early'
            WHEN clicked_at > _ingested_at + INTERVAL $clock_skew THEN 'time in the future'
        END AS problem_of_time,
        CASE
            WHEN "elementTag" IS NOT NULL OR "elementId" IS NOT NULL THEN 'recorder'
            WHEN button IS NOT NULL THEN 'collector'
            WHEN page IS NOT NULL THEN 'visit'
            WHEN address IS NOT NULL THEN 'stream'
        END AS shape
    FROM parsed
)
SELECT
    CASE WHEN problem_of_time IS NULL THEN CAST(clicked_at AS DATE) END AS click_date,
    clicked_at,
    coalesce(nullif(id, ''), md5(concat_ws(chr(31),
        coalesce(user_id, ''), coalesce(timestamp, ''), coalesce(url, ''), coalesce("pageUrl", ''),
        coalesce("elementTag", ''), coalesce("elementId", ''), coalesce("elementClass", ''),
        coalesce("elementText", ''), coalesce(button, ''), coalesce(page, ''),
        coalesce(CAST(duration AS TEXT), ''), coalesce(device['type'], ''), coalesce(device['platform'], ''),
        coalesce(device['browser'], ''), coalesce(location['city'], ''), coalesce(location['country'], ''),
        coalesce(user_agent, ''), coalesce(referrer, ''), coalesce(_rescued, '')
    ))) AS click_id,
    CASE
        WHEN problem_of_time IS NOT NULL THEN problem_of_time
        WHEN shape IS NULL THEN 'nothing clicked'
        WHEN address IS NOT NULL AND parts IS NULL THEN 'no such address'
        WHEN duration < 0 THEN 'negative duration'
    END AS problem,
    shape,
    nullif(user_id, '') AS user_id,
    address AS url,
    parts['host'] AS host,
    coalesce(parts['path'], '/' || ltrim(page, '/')) AS page,
    touch['source'] AS source,
    touch['medium'] AS medium,
    touch['campaign'] AS campaign,
    touch['channel'] AS channel,
    "elementTag" AS element_tag,
    coalesce("elementId", button) AS element_id,
    "elementClass" AS element_class,
    coalesce("elementText", button) AS element_text,
    duration AS duration_seconds,
    coalesce(device_name(device['type']), agent['device_type']) AS device_type,
    coalesce(system_name(device['platform']), agent['os']) AS os,
    coalesce(browser_name(device['browser']), agent['browser']) AS browser,
    device['type'] AS claimed_device_type,
    device['platform'] AS claimed_os,
    device['browser'] AS claimed_browser,
    coalesce(agent['is_bot'], false) AS is_bot,
    agent['bot_reason'] AS bot_reason,
    location['city'] AS city,
    location['country'] AS country,
    _source,
    _position,
    _batch
FROM shaped
