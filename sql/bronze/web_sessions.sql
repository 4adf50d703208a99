-- One row per delivered session record, as the source said it.
CREATE TABLE web_sessions (
    session_id TEXT,
    user_id TEXT,
    timestamp TEXT,
    user_agent TEXT,
    device_type TEXT,
    os TEXT,
    browser TEXT,
    page_url TEXT,
    referrer TEXT,
    utm_source TEXT,
    utm_medium TEXT,
    utm_campaign TEXT,
    events ARRAY<STRUCT<event_type TEXT, element_id TEXT, timestamp TEXT>>,
    time_spent_seconds BIGINT,
    is_returning_visitor BOOLEAN,
    visit_count BIGINT,
    bounce BOOLEAN,
    conversion BOOLEAN
)
