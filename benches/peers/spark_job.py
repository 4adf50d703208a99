"""The web-traffic job as a user of Spark with Delta would write it, on two local cores.

    spark_job.py LANDING LAKE JARS

Prints the seconds of each stage as JSON; `start` is what it takes until a session is there.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession, functions
from pyspark.sql.types import StringType

from channel import channel
from stages import Stages

COLUMNS = """
    session_id STRING, user_id STRING, timestamp STRING, user_agent STRING, device_type STRING, os STRING,
    browser STRING, page_url STRING, referrer STRING, utm_source STRING, utm_medium STRING, utm_campaign STRING,
    events ARRAY<STRUCT<event_type: STRING, element_id: STRING, timestamp: STRING>>, time_spent_seconds BIGINT,
    is_returning_visitor BOOLEAN, visit_count BIGINT, bounce BOOLEAN, conversion BOOLEAN
"""

SESSIONS = r"""
    SELECT session_date, user_id, session_id, started_at AS timestamp, user_agent, device_type, os, browser,
        regexp_replace(page_url, '[^a-zA-Z0-9- ]', '') AS page_url,
        split_part(split_part(regexp_replace(page_url, '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*', ''), '#', 1), '?', 1)
            AS page_path,
        referrer, utm_source AS platform, utm_medium, utm_campaign, channel, events,
        CAST(coalesce(array_size(events), 0) AS BIGINT) AS event_count,
        CAST(coalesce(size(filter(events, e -> e.event_type = 'view')), 0) AS BIGINT) AS view_count,
        CAST(coalesce(size(filter(events, e -> e.event_type = 'click')), 0) AS BIGINT) AS click_count,
        CAST(coalesce(size(filter(events, e -> e.event_type = 'submit')), 0) AS BIGINT) AS submit_count,
        time_spent_seconds,
        CASE WHEN time_spent_seconds < 0 THEN 0 WHEN time_spent_seconds > 86400 THEN 86400
             ELSE time_spent_seconds END AS engaged_seconds,
        coalesce(time_spent_seconds >= 10, false) OR coalesce(conversion, false)
            OR coalesce(size(filter(events, e -> e.event_type = 'view')), 0) >= 2 AS is_engaged,
        is_returning_visitor, visit_count, bounce, conversion
    FROM (
        SELECT *, row_number() OVER (PARTITION BY session_date, user_id, session_id ORDER BY file DESC) AS newness
        FROM (
            SELECT *, try_to_timestamp(timestamp) AS started_at, to_date(try_to_timestamp(timestamp)) AS session_date
            FROM bronze
        )
        WHERE user_id <> '' AND session_id <> '' AND session_date IS NOT NULL
    )
    LEFT JOIN channels ON source <=> utm_source AND medium <=> utm_medium
        AND campaign <=> utm_campaign AND came_from <=> referrer
    WHERE newness = 1
"""

FINAL_COOKIES = """
    SELECT session_id, user_id, sessions.timestamp, device_type, os, browser, page_url, referrer, platform,
        event.event_type, time_spent_seconds, is_returning_visitor, visit_count, event.element_id,
        try_to_timestamp(event.timestamp) AS event_timestamp, CAST(event_index AS BIGINT) AS event_index,
        utm_medium, utm_campaign, bounce, conversion, session_date
    FROM sessions LATERAL VIEW OUTER posexplode(events) AS event_index, event
"""

VISIT_COUNT = """
    SELECT user_id, coalesce(sum(visit_count), 0) AS visitor_count, count(*) AS sessions,
        min(timestamp) AS first_seen_at, max(timestamp) AS last_seen_at
    FROM sessions GROUP BY user_id
"""

UTM_ATTRIBUTION = """
    SELECT session_date, platform, utm_medium, utm_campaign, channel,
        count(*) AS sessions,
        count(DISTINCT user_id) AS visitors,
        count_if(conversion) AS conversions,
        count_if(bounce) AS bounces,
        count_if(is_engaged) AS engaged_sessions,
        avg(engaged_seconds) AS avg_time_spent,
        count_if(conversion) / count(*) AS conversion_rate,
        count_if(bounce) / count(*) AS bounce_rate,
        count_if(is_engaged) / count(*) AS engagement_rate
    FROM sessions GROUP BY session_date, platform, utm_medium, utm_campaign, channel
"""

CONVERSIONS = """
    WITH per_session AS (
        SELECT session_date, element_id, event_type, count(*) AS events,
            bool_or(coalesce(conversion, false)) AS is_converting
        FROM final_cookies WHERE event_type IN ('click', 'submit')
        GROUP BY session_date, element_id, event_type, user_id, session_id
    )
    SELECT session_date, element_id, event_type,
        sum(events) AS events,
        count(*) AS sessions,
        count_if(is_converting) AS converting_sessions,
        count_if(is_converting) / count(*) AS conversion_rate,
        sum(events) / count(*) AS events_per_session
    FROM per_session GROUP BY session_date, element_id, event_type
"""

RETURN_VISITORS = """
    WITH per_visitor AS (
        SELECT session_date, user_id,
            bool_or(coalesce(is_returning_visitor, false)) AS claims_return,
            count(*) AS sessions,
            min(CAST(first_seen_at AS DATE)) AS first_seen_on
        FROM sessions JOIN (SELECT user_id, first_seen_at FROM visit_count) USING (user_id)
        GROUP BY session_date, user_id
    )
    SELECT session_date,
        count(*) AS visitors,
        count_if(claims_return) AS returning_visitors,
        count_if(first_seen_on = session_date) AS new_visitors,
        count_if(first_seen_on < session_date) AS known_visitors,
        sum(sessions) AS sessions,
        count_if(claims_return) / count(*) AS returning_rate,
        count_if(first_seen_on < session_date) / count(*) AS known_rate
    FROM per_visitor GROUP BY session_date
"""


def session(jars):
    settings = {
        "spark.jars": ",".join(str(jar) for jar in Path(jars).glob("*.jar")),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.memory": "6g",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # The defaults are meant for a cluster.
        "spark.sql.shuffle.partitions": "4",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    return SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()


def main(landing, lake, jars):
    stages = Stages()
    with stages("start"):
        spark = session(jars)

    def save(table, rows, **partitioning):
        path = f"{lake}/{table}"
        rows.write.format("delta").save(path, **partitioning)
        spark.read.format("delta").load(path).createOrReplaceTempView(table.split("/")[1])

    with stages("bronze.web_sessions"):
        rows = spark.read.schema(COLUMNS).json(f"{landing}/part-*.json").withColumn("file", functions.input_file_name())
        save("bronze/web_sessions", rows)
        spark.read.format("delta").load(f"{lake}/bronze/web_sessions").createOrReplaceTempView("bronze")
    with stages("silver.sessions"):
        claims = spark.sql("SELECT DISTINCT utm_source, utm_medium, utm_campaign, referrer FROM bronze").collect()
        names = ["source", "medium", "campaign", "came_from", "channel"]
        channels = [(*claim, channel(*claim)) for claim in claims]
        schema = ", ".join(f"{name} {StringType().simpleString()}" for name in names)
        functions.broadcast(spark.createDataFrame(channels, schema)).createOrReplaceTempView("channels")
        save("silver/sessions", spark.sql(SESSIONS), partitionBy="session_date")
    with stages("silver.final_cookies"):
        save("silver/final_cookies", spark.sql(FINAL_COOKIES), partitionBy="session_date")
    with stages("silver.visit_count"):
        save("silver/visit_count", spark.sql(VISIT_COUNT))
    for name, query in [
        ("utm_attribution", UTM_ATTRIBUTION),
        ("conversions", CONVERSIONS),
        ("return_visitors", RETURN_VISITORS),
    ]:
        with stages(f"gold.{name}"):
            save(f"gold/{name}", spark.sql(query))
    print(json.dumps(stages.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
