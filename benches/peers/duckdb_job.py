"""The web-traffic job as a user of DuckDB and the `deltalake` package would write it.

    duckdb_job.py LANDING LAKE

Prints the seconds of each stage as JSON.
"""

import json
import sys

import duckdb
from deltalake import write_deltalake

from channel import channel
from stages import Stages

COLUMNS = {
    "session_id": "VARCHAR",
    "user_id": "VARCHAR",
    "timestamp": "VARCHAR",
    "user_agent": "VARCHAR",
    "device_type": "VARCHAR",
    "os": "VARCHAR",
    "browser": "VARCHAR",
    "page_url": "VARCHAR",
    "referrer": "VARCHAR",
    "utm_source": "VARCHAR",
    "utm_medium": "VARCHAR",
    "utm_campaign": "VARCHAR",
    "events": "STRUCT(event_type VARCHAR, element_id VARCHAR, \"timestamp\" VARCHAR)[]",
    "time_spent_seconds": "BIGINT",
    "is_returning_visitor": "BOOLEAN",
    "visit_count": "BIGINT",
    "bounce": "BOOLEAN",
    "conversion": "BOOLEAN",
}

SESSIONS = r"""
    SELECT
        CAST(started_at AT TIME ZONE 'UTC' AS DATE) AS session_date,
        user_id,
        session_id,
        started_at AS timestamp,
        user_agent,
        device_type,
        os,
        browser,
        regexp_replace(page_url, '[^a-zA-Z0-9- ]', '', 'g') AS page_url,
        split_part(split_part(regexp_replace(page_url, '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*', ''), '#', 1), '?', 1)
            AS page_path,
        referrer,
        utm_source AS platform,
        utm_medium,
        utm_campaign,
        channel,
        events,
        coalesce(len(events), 0) AS event_count,
        coalesce(len(list_filter(events, lambda e: e.event_type = 'view')), 0) AS view_count,
        coalesce(len(list_filter(events, lambda e: e.event_type = 'click')), 0) AS click_count,
        coalesce(len(list_filter(events, lambda e: e.event_type = 'submit')), 0) AS submit_count,
        time_spent_seconds,
        CASE WHEN time_spent_seconds < 0 THEN 0 WHEN time_spent_seconds > 86400 THEN 86400
             ELSE time_spent_seconds END AS engaged_seconds,
        coalesce(time_spent_seconds >= 10, false) OR coalesce(conversion, false) OR view_count >= 2
            AS is_engaged,
        is_returning_visitor,
        visit_count,
        bounce,
        conversion
    FROM (SELECT *, try_cast(timestamp AS TIMESTAMPTZ) AS started_at FROM bronze)
    LEFT JOIN channels ON source IS NOT DISTINCT FROM utm_source
        AND medium IS NOT DISTINCT FROM utm_medium
        AND campaign IS NOT DISTINCT FROM utm_campaign
        AND came_from IS NOT DISTINCT FROM referrer
    WHERE user_id <> '' AND session_id <> '' AND started_at IS NOT NULL
"""

NEWEST = """
    QUALIFY row_number() OVER (PARTITION BY session_date, user_id, session_id ORDER BY filename DESC) = 1
"""

FINAL_COOKIES = """
    SELECT
        session_id, user_id, timestamp, device_type, os, browser, page_url, referrer, platform,
        event.event_type AS event_type,
        time_spent_seconds, is_returning_visitor, visit_count,
        event.element_id AS element_id,
        try_cast(event."timestamp" AS TIMESTAMPTZ) AS event_timestamp,
        event_index,
        utm_medium, utm_campaign, bounce, conversion, session_date
    FROM (
        SELECT *,
            unnest(CASE WHEN event_count > 0 THEN events ELSE [NULL] END) AS event,
            unnest(CASE WHEN event_count > 0 THEN range(event_count) ELSE [NULL] END) AS event_index
        FROM sessions
    )
"""

VISIT_COUNT = """
    SELECT user_id, coalesce(sum(visit_count), 0)::BIGINT AS visitor_count, count(*) AS sessions,
        min(timestamp) AS first_seen_at, max(timestamp) AS last_seen_at
    FROM sessions GROUP BY user_id
"""

UTM_ATTRIBUTION = """
    SELECT session_date, platform, utm_medium, utm_campaign, channel,
        count(*) AS sessions,
        count(DISTINCT user_id) AS visitors,
        count(*) FILTER (WHERE conversion) AS conversions,
        count(*) FILTER (WHERE bounce) AS bounces,
        count(*) FILTER (WHERE is_engaged) AS engaged_sessions,
        avg(engaged_seconds) AS avg_time_spent,
        count(*) FILTER (WHERE conversion)::DOUBLE / count(*) AS conversion_rate,
        count(*) FILTER (WHERE bounce)::DOUBLE / count(*) AS bounce_rate,
        count(*) FILTER (WHERE is_engaged)::DOUBLE / count(*) AS engagement_rate
    FROM sessions GROUP BY ALL
"""

CONVERSIONS = """
    WITH per_session AS (
        SELECT session_date, element_id, event_type, count(*) AS events,
            bool_or(coalesce(conversion, false)) AS is_converting
        FROM final_cookies WHERE event_type IN ('click', 'submit')
        GROUP BY session_date, element_id, event_type, user_id, session_id
    )
    SELECT session_date, element_id, event_type,
        sum(events)::BIGINT AS events,
        count(*) AS sessions,
        count(*) FILTER (WHERE is_converting) AS converting_sessions,
        count(*) FILTER (WHERE is_converting)::DOUBLE / count(*) AS conversion_rate,
        sum(events)::DOUBLE / count(*) AS events_per_session
    FROM per_session GROUP BY ALL
"""

RETURN_VISITORS = """
    WITH per_visitor AS (
        SELECT s.session_date, s.user_id,
            bool_or(coalesce(is_returning_visitor, false)) AS claims_return,
            count(*) AS sessions,
            min(CAST(first_seen_at AT TIME ZONE 'UTC' AS DATE)) AS first_seen_on
        FROM sessions s JOIN visit_count v USING (user_id)
        GROUP BY s.session_date, s.user_id
    )
    SELECT session_date,
        count(*) AS visitors,
        count(*) FILTER (WHERE claims_return) AS returning_visitors,
        count(*) FILTER (WHERE first_seen_on = session_date) AS new_visitors,
        count(*) FILTER (WHERE first_seen_on < session_date) AS known_visitors,
        sum(sessions)::BIGINT AS sessions,
        count(*) FILTER (WHERE claims_return)::DOUBLE / count(*) AS returning_rate,
        count(*) FILTER (WHERE first_seen_on < session_date)::DOUBLE / count(*) AS known_rate
    FROM per_visitor GROUP BY ALL
"""


def main(landing, lake):
    con = duckdb.connect()
    con.execute("SET timezone = 'UTC'")
    con.execute("SET preserve_insertion_order = false")
    stages = Stages()

    def save(table, rows, **options):
        write_deltalake(f"{lake}/{table}", rows.to_arrow_reader(128 * 1024), **options)

    with stages("bronze.web_sessions"):
        read = con.read_json(f"{landing}/part-*.json", format="newline_delimited", columns=COLUMNS, filename=True)
        read.create("bronze")
        save("bronze/web_sessions", con.sql("FROM bronze"))
    with stages("silver.sessions"):
        claims = con.sql("SELECT DISTINCT utm_source, utm_medium, utm_campaign, referrer FROM bronze").fetchall()
        con.execute("CREATE TABLE channels (source VARCHAR, medium VARCHAR, campaign VARCHAR, came_from VARCHAR, channel VARCHAR)")
        con.executemany("INSERT INTO channels VALUES (?, ?, ?, ?, ?)", [(*claim, channel(*claim)) for claim in claims])
        con.execute(f"CREATE TABLE sessions AS {SESSIONS} {NEWEST}")
        save("silver/sessions", con.sql("FROM sessions"), partition_by=["session_date"])
    with stages("silver.final_cookies"):
        con.execute(f"CREATE TABLE final_cookies AS {FINAL_COOKIES}")
        save("silver/final_cookies", con.sql("FROM final_cookies"), partition_by=["session_date"])
    with stages("silver.visit_count"):
        con.execute(f"CREATE TABLE visit_count AS {VISIT_COUNT}")
        save("silver/visit_count", con.sql("FROM visit_count"))
    for name, query in [
        ("utm_attribution", UTM_ATTRIBUTION),
        ("conversions", CONVERSIONS),
        ("return_visitors", RETURN_VISITORS),
    ]:
        with stages(f"gold.{name}"):
            save(f"gold/{name}", con.sql(query))
    print(json.dumps(stages.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
