-- One row per delivered click, in any of four shapes, as the source said it.
CREATE TABLE clicks (
    id TEXT,
    user_id TEXT,
    -- A text in one of several forms, or a number of seconds or milliseconds since 1970.
    timestamp JSON,
    "elementTag" TEXT,
    "elementId" TEXT,
    "elementClass" TEXT,
    "elementText" TEXT,
    url TEXT,
    button TEXT,
    "pageUrl" TEXT,
    page TEXT,
    duration DOUBLE,
    device STRUCT<type TEXT, platform TEXT, browser TEXT>,
    location STRUCT<city TEXT, country TEXT>,
    user_agent TEXT,
    referrer TEXT
)
