"""The web-traffic job as a user of Polars and the `deltalake` package would write it.

    polars_job.py LANDING LAKE

Prints the seconds of each stage as JSON.
"""

import json
import sys

import polars as pl

from channel import channel
from stages import Stages

EVENT = pl.Struct({"event_type": pl.String, "element_id": pl.String, "timestamp": pl.String})
SCHEMA = {
    **dict.fromkeys(
        "session_id user_id timestamp user_agent device_type os browser page_url referrer "
        "utm_source utm_medium utm_campaign".split(),
        pl.String,
    ),
    "events": pl.List(EVENT),
    "time_spent_seconds": pl.Int64,
    "is_returning_visitor": pl.Boolean,
    "visit_count": pl.Int64,
    "bounce": pl.Boolean,
    "conversion": pl.Boolean,
}
KEY = ["session_date", "user_id", "session_id"]
CLAIMS = ["utm_source", "utm_medium", "utm_campaign", "referrer"]


def instant(column):
    return column.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def events_of(kind):
    return pl.col("types").list.count_matches(kind).fill_null(0).cast(pl.Int64)


def sessions_of(bronze):
    claims = bronze.select(CLAIMS).unique()
    claims = claims.with_columns(channel=pl.Series([channel(*row) for row in claims.iter_rows()], dtype=pl.String))
    path = pl.col("page_url").str.replace(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*", "")
    path = path.str.split_exact("#", 1).struct.field("field_0").str.split_exact("?", 1).struct.field("field_0")
    spent = pl.col("time_spent_seconds")
    return (
        bronze.lazy()
        .with_columns(timestamp=instant(pl.col("timestamp")))
        .with_columns(session_date=pl.col("timestamp").dt.date())
        .filter(pl.col("user_id") != "", pl.col("session_id") != "", pl.col("session_date").is_not_null())
        .unique(subset=KEY, keep="last", maintain_order=False)
        .join(claims.lazy(), on=CLAIMS, how="left", nulls_equal=True)
        .with_columns(types=pl.col("events").list.eval(pl.element().struct.field("event_type")))
        .with_columns(
            page_path=path,
            event_count=pl.col("events").list.len().fill_null(0).cast(pl.Int64),
            view_count=events_of("view"),
            click_count=events_of("click"),
            submit_count=events_of("submit"),
        )
        .select(
            *KEY, "timestamp", "user_agent", "device_type", "os", "browser",
            pl.col("page_url").str.replace_all("[^a-zA-Z0-9- ]", ""),
            "page_path", "referrer", pl.col("utm_source").alias("platform"), "utm_medium", "utm_campaign", "channel",
            "events", "event_count", "view_count", "click_count", "submit_count", "time_spent_seconds",
            spent.clip(0, 86400).alias("engaged_seconds"),
            ((spent >= 10).fill_null(False) | pl.col("conversion").fill_null(False) | (pl.col("view_count") >= 2))
            .alias("is_engaged"),
            "is_returning_visitor", "visit_count", "bounce", "conversion",
        )
        .collect(engine="streaming")
    )


def final_cookies_of(sessions):
    has_events = pl.col("event_count") > 0
    return (
        sessions.lazy()
        .with_columns(
            event=pl.when(has_events).then("events"),
            event_index=pl.when(has_events).then(pl.int_ranges(0, "event_count")),
        )
        .explode("event", "event_index")
        .select(
            "session_id", "user_id", "timestamp", "device_type", "os", "browser", "page_url", "referrer", "platform",
            pl.col("event").struct.field("event_type"),
            "time_spent_seconds", "is_returning_visitor", "visit_count",
            pl.col("event").struct.field("element_id"),
            instant(pl.col("event").struct.field("timestamp")).alias("event_timestamp"),
            "event_index", "utm_medium", "utm_campaign", "bounce", "conversion", "session_date",
        )
        .collect(engine="streaming")
    )


def visit_count_of(sessions):
    return sessions.group_by("user_id").agg(
        visitor_count=pl.col("visit_count").sum(),
        sessions=pl.len().cast(pl.Int64),
        first_seen_at=pl.col("timestamp").min(),
        last_seen_at=pl.col("timestamp").max(),
    )


def utm_attribution_of(sessions):
    return (
        sessions.lazy()
        .group_by("session_date", "platform", "utm_medium", "utm_campaign", "channel")
        .agg(
            sessions=pl.len().cast(pl.Int64),
            visitors=pl.col("user_id").n_unique().cast(pl.Int64),
            conversions=pl.col("conversion").sum().cast(pl.Int64),
            bounces=pl.col("bounce").sum().cast(pl.Int64),
            engaged_sessions=pl.col("is_engaged").sum().cast(pl.Int64),
            avg_time_spent=pl.col("engaged_seconds").mean(),
        )
        .with_columns(
            conversion_rate=pl.col("conversions") / pl.col("sessions"),
            bounce_rate=pl.col("bounces") / pl.col("sessions"),
            engagement_rate=pl.col("engaged_sessions") / pl.col("sessions"),
        )
        .collect(engine="streaming")
    )


def conversions_of(final_cookies):
    element = ["session_date", "element_id", "event_type"]
    return (
        final_cookies.lazy()
        .filter(pl.col("event_type").is_in(["click", "submit"]))
        .group_by(*element, "user_id", "session_id")
        .agg(events=pl.len(), is_converting=pl.col("conversion").fill_null(False).any())
        .group_by(element)
        .agg(
            events=pl.col("events").sum().cast(pl.Int64),
            sessions=pl.len().cast(pl.Int64),
            converting_sessions=pl.col("is_converting").sum().cast(pl.Int64),
        )
        .with_columns(
            conversion_rate=pl.col("converting_sessions") / pl.col("sessions"),
            events_per_session=pl.col("events") / pl.col("sessions"),
        )
        .collect(engine="streaming")
    )


def return_visitors_of(sessions, visit_count):
    return (
        sessions.lazy()
        .join(visit_count.lazy().select("user_id", "first_seen_at"), on="user_id")
        .group_by("session_date", "user_id")
        .agg(
            claims_return=pl.col("is_returning_visitor").fill_null(False).any(),
            sessions=pl.len(),
            first_seen_on=pl.col("first_seen_at").min().dt.date(),
        )
        .group_by("session_date")
        .agg(
            visitors=pl.len().cast(pl.Int64),
            returning_visitors=pl.col("claims_return").sum().cast(pl.Int64),
            new_visitors=(pl.col("first_seen_on") == pl.col("session_date")).sum().cast(pl.Int64),
            known_visitors=(pl.col("first_seen_on") < pl.col("session_date")).sum().cast(pl.Int64),
            sessions=pl.col("sessions").sum().cast(pl.Int64),
        )
        .with_columns(
            returning_rate=pl.col("returning_visitors") / pl.col("visitors"),
            known_rate=pl.col("known_visitors") / pl.col("visitors"),
        )
        .collect(engine="streaming")
    )


def main(landing, lake):
    stages = Stages()
    by_day = {"partition_by": ["session_date"]}

    def save(table, rows, **options):
        rows.write_delta(f"{lake}/{table}", delta_write_options=options)

    with stages("bronze.web_sessions"):
        bronze = pl.scan_ndjson(f"{landing}/part-*.json", schema=SCHEMA).collect(engine="streaming")
        save("bronze/web_sessions", bronze)
    with stages("silver.sessions"):
        sessions = sessions_of(bronze)
        del bronze
        save("silver/sessions", sessions, **by_day)
    with stages("silver.final_cookies"):
        final_cookies = final_cookies_of(sessions)
        save("silver/final_cookies", final_cookies, **by_day)
    with stages("silver.visit_count"):
        visit_count = visit_count_of(sessions)
        save("silver/visit_count", visit_count)
    with stages("gold.utm_attribution"):
        save("gold/utm_attribution", utm_attribution_of(sessions))
    with stages("gold.conversions"):
        save("gold/conversions", conversions_of(final_cookies))
    with stages("gold.return_visitors"):
        save("gold/return_visitors", return_visitors_of(sessions, visit_count))
    print(json.dumps(stages.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
