"""Recomputes what clickwatch makes of sessions and clicks, and compares it row for row.

From silver.sessions, silver.final_cookies and silver.click_events of a lake, DuckDB and a little Python
make every Gold table again, and silver.visit_count, silver.clicks and silver.click_sessions.
The definitions are the same, the formulations are not: nothing here comes from the project's SQL.
The lake's table must have the same columns and each row as often, and its credits must add up.

Tolerated: doubles may differ by a billionth of their size, credits that come from powers or the
Markov chain by what CREDITS_WITHIN says. Columns whose names begin with _ are left out, and types
are not compared. Parameters are those of pipelines/*.toml, in recompute_paths.py.

    setup.sh DIR
    DIR/venv/bin/python recompute.py LAKE_DIR

Prints a line per table and ends with `N tables equal, M different`; exits with 1 if any differs.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import recompute_paths as paths
from compare import DuckDB, Unequal

SIDES = ("lake", "mine")
ROWS_SHOWN = 3
RELATIVE_TOLERANCE = 1e-9
CREDITS_WITHIN = {
    "gold.conversion_paths": {"time_decay": "0.000000002"},
    "gold.attribution": {
        "credit": "CASE WHEN coalesce(lake.model, mine.model)"
        " IN ('time_decay', 'markov_per_conversion') THEN 0.000001 ELSE 0 END"
    },
    "gold.markov_attribution": {"credit": "0.00001 * greatest(1, lake.credit, mine.credit)"},
}


# What a click has of each dimension, and of what it must have something to count.
DIMENSIONS = {
    "page": ("host, page", "page"),
    "element": ("element_id, element_text", "element_id"),
    "location": ("country, city", "country, city"),
    "device": ("device_type, os, browser", "device_type, os, browser"),
    "claimed_device": 2 * ("claimed_device_type, claimed_os, claimed_browser",),
}


def ranking(dimension):
    """What was clicked most on each day, of the clicks that have something of `dimension`."""
    keys, known = DIMENSIONS[dimension]
    return f"""
        SELECT click_date, {keys}, count(*) AS clicks, count(DISTINCT user_id) AS users,
            rank() OVER (PARTITION BY click_date ORDER BY count(*) DESC) AS rank
        FROM mine.clicks WHERE {paths.COUNTS} AND coalesce({known}, NULL) IS NOT NULL
        GROUP BY click_date, {keys}
    """


def rankings():
    """Those of all dimensions; what a dimension has not is NULL."""
    return " UNION ALL BY NAME ".join(
        f"(SELECT '{dimension}' AS dimension, * FROM ({ranking(dimension)}))"
        for dimension in DIMENSIONS
    )


# Made in this order: some read others of them in `mine`.
WEB_TABLES = {
    "silver.visit_count": """
        SELECT user_id, try_cast(coalesce(sum(visit_count::HUGEINT), 0) AS BIGINT) AS visitor_count,
            count(*) AS sessions, min(timestamp) AS first_seen_at, max(timestamp) AS last_seen_at,
            count(DISTINCT session_date) AS active_days,
            count(*) FILTER (conversion) AS conversions,
            (max(session_date) - min(session_date)) / nullif(active_days - 1, 0)
                AS avg_days_between,
            min(if(is_bot, NULL, timestamp)) AS first_human_at
        FROM silver.sessions GROUP BY user_id
    """,
    "gold.bot_sessions": """
        SELECT session_date, bot_reason, count(*) AS sessions, count(DISTINCT user_id) AS visitors,
            count(*) FILTER (conversion) AS conversions, count(*) FILTER (bounce) AS bounces
        FROM silver.sessions WHERE is_bot GROUP BY ALL
    """,
    "gold.utm_attribution": """
        SELECT session_date, channel, source, medium, campaign, platform, utm_medium, utm_campaign,
            count(*) AS sessions, count(DISTINCT user_id) AS visitors,
            count(*) FILTER (conversion) AS conversions, count(*) FILTER (bounce) AS bounces,
            count(*) FILTER (is_engaged) AS engaged_sessions,
            avg(engaged_seconds) AS avg_time_spent, conversions / sessions AS conversion_rate,
            bounces / sessions AS bounce_rate, engaged_sessions / sessions AS engagement_rate
        FROM counted GROUP BY ALL
    """,
    "gold.conversions": f"""
        SELECT session_date, element_id, event_type, count(*) AS events,
            count(DISTINCT (user_id, session_id)) AS sessions,
            count(DISTINCT (user_id, session_id)) FILTER (conversion) AS converting_sessions,
            converting_sessions / sessions AS conversion_rate,
            events / sessions AS events_per_session
        FROM silver.final_cookies
        WHERE (event_type = 'click' OR event_type = 'submit') AND {paths.COUNTS} GROUP BY ALL
    """,
    "gold.return_visitors": """
        SELECT session_date, count(DISTINCT user_id) AS visitors,
            count(DISTINCT user_id) FILTER (is_returning_visitor) AS returning_visitors,
            count(DISTINCT user_id) FILTER (first_day >= session_date) AS new_visitors,
            visitors - new_visitors AS known_visitors, count(*) AS sessions,
            returning_visitors / visitors AS returning_rate, known_visitors / visitors AS known_rate
        FROM counted JOIN seen USING (user_id) GROUP BY ALL
    """,
    "gold.page_engagement": """
        SELECT session_date, page_path, count(*) AS sessions, count(DISTINCT user_id) AS visitors,
            sum(coalesce(engaged_seconds, 0)) AS total_time_spent,
            avg(engaged_seconds) AS avg_time_spent, count(*) FILTER (is_engaged) AS engaged_sessions
        FROM counted GROUP BY ALL
    """,
    "gold.user_page_engagement": """
        SELECT session_date, user_id, page_path, count(*) AS sessions,
            sum(coalesce(engaged_seconds, 0)) AS total_time_spent,
            avg(engaged_seconds) AS avg_time_spent
        FROM counted GROUP BY ALL
    """,
    "gold.visits_by_dimension": """
        SELECT session_date, dimension, value, count(*) AS sessions,
            count(*) FILTER (conversion) AS conversions, count(*) FILTER (bounce) AS bounces,
            avg(engaged_seconds) AS avg_time_spent
        FROM (SELECT * RENAME (page_path AS page) FROM counted) UNPIVOT INCLUDE NULLS (
            value FOR dimension IN (
                device_type, os, browser, source, claimed_device_type, claimed_os, claimed_browser,
                platform, page, channel, referrer
            )
        )
        GROUP BY ALL
    """,
    # All is doubled to stay with whole numbers, and HUGEINT as claims may be as large as they like.
    "gold.session_durations": """
        WITH timed AS (
            SELECT session_date, CAST(time_spent_seconds AS HUGEINT) AS seconds,
                cume_dist() OVER (PARTITION BY session_date ORDER BY time_spent_seconds) AS part
            FROM counted WHERE time_spent_seconds >= 0
        ),
        quartile AS (
            SELECT session_date, min(seconds) FILTER (part >= 0.25) AS q1,
                min(seconds) FILTER (part >= 0.75) AS q3, 3 * (q3 - q1) AS reach
            FROM timed GROUP BY session_date
        )
        SELECT session_date, least(seconds // 10, 60) * 10 AS from_seconds,
            CASE WHEN seconds < 600 THEN from_seconds + 10 END AS below_seconds,
            count(*) AS sessions, min(seconds) AS shortest_seconds, max(seconds) AS longest_seconds,
            count(*) FILTER (2 * seconds NOT BETWEEN 2 * q1 - reach AND 2 * q3 + reach) AS outliers
        FROM timed JOIN quartile USING (session_date) GROUP BY ALL
    """,
    "gold.journeys": paths.JOURNEYS,
    "gold.path_summary": paths.PATH_SUMMARY,
    "gold.channel_transitions": paths.CHANNEL_TRANSITIONS,
    "gold.markov_attribution": paths.MARKOV_ATTRIBUTION,
    "gold.channel_effects": paths.CHANNEL_EFFECTS,
    "gold.conversion_paths": paths.CONVERSION_PATHS,
    "gold.attribution": paths.ATTRIBUTION,
    "gold.funnel": paths.FUNNEL,
    "gold.reconciliation": """
        WITH told AS (
            SELECT session_date, submit_count > 0 AS submits,
                coalesce(conversion, false) AS converts, coalesce(bounce, false) AS bounces,
                NOT submits AND view_count < 2 AND coalesce(time_spent_seconds, 0) < 10 AS flees
            FROM counted
        )
        SELECT session_date, count(*) AS sessions,
            count(*) FILTER (converts) AS claimed_conversions,
            count(*) FILTER (submits) AS derived_conversions,
            count(*) FILTER (converts > submits) AS conversions_only_claimed,
            count(*) FILTER (submits > converts) AS conversions_only_derived,
            count(*) FILTER (bounces) AS claimed_bounces,
            count(*) FILTER (flees) AS derived_bounces,
            count(*) FILTER (bounces > flees) AS bounces_only_claimed,
            count(*) FILTER (flees > bounces) AS bounces_only_derived
        FROM told GROUP BY session_date
    """,
    "gold.cohort_activity": """
        SELECT CAST(date_trunc('week', session_date) AS DATE) AS session_week,
            CAST(date_trunc('week', first_day) AS DATE) AS cohort_week,
            count(DISTINCT user_id) AS active_visitors
        FROM counted JOIN seen USING (user_id) GROUP BY ALL
    """,
    "gold.visitor_cohorts": """
        WITH ended AS (SELECT max(session_week) AS latest FROM mine.cohort_activity),
        cohort AS (
            SELECT cohort_week, active_visitors AS visitors,
                unnest(range(1 + (latest - cohort_week) // 7)) AS week_number,
                cohort_week + CAST(7 * week_number AS INTEGER) AS week, week = latest AS is_open
            FROM mine.cohort_activity, ended WHERE cohort_week = session_week
        )
        SELECT c.cohort_week, week_number, week, visitors,
            CASE WHEN NOT is_open THEN coalesce(a.active_visitors, 0) END AS active_visitors,
            CASE WHEN NOT is_open THEN coalesce(a.active_visitors, 0) / visitors END AS retention
        FROM cohort c LEFT JOIN mine.cohort_activity a
            ON a.cohort_week = c.cohort_week AND a.session_week = c.week
    """,
    "gold.recency_frequency": """
        SELECT (SELECT max(session_date) FROM counted) - last_day AS recency_days,
            least(sessions, 10) AS frequency, count(*) AS users, sum(conversions) AS conversions
        FROM seen GROUP BY ALL
    """,
}
CLICK_TABLES = {
    "silver.clicks": paths.CLICKS,
    "silver.click_sessions": paths.CLICK_SESSIONS,
    "gold.bot_clicks": """
        SELECT click_date, bot_reason, count(*) AS clicks, count(DISTINCT user_id) AS users
        FROM mine.clicks WHERE is_bot GROUP BY ALL
    """,
    "gold.click_quality": f"""
        WITH fine AS (
            SELECT click_date, count(*) AS delivered, count(DISTINCT click_id) AS distinct_ones
            FROM silver.click_events WHERE problem IS NULL GROUP BY click_date
        )
        SELECT click_date, if({paths.COUNTS}, 'kept', 'bot') AS outcome, count(*) AS events
        FROM mine.clicks GROUP BY ALL
        UNION ALL
        SELECT click_date, 'duplicate', delivered - distinct_ones
        FROM fine WHERE delivered > distinct_ones
        UNION ALL
        SELECT click_date, problem, count(*) FROM silver.click_events
        WHERE problem IS NOT NULL GROUP BY ALL
    """,
    "gold.click_trends": f"""
        SELECT click_date, hour(clicked_at) AS hour, count(*) AS clicks,
            count(DISTINCT user_id) AS users
        FROM mine.clicks WHERE {paths.COUNTS} GROUP BY ALL
    """,
    "gold.clicks_by_dimension": rankings(),
    "gold.top_urls": ranking("page"),
    "gold.top_elements": ranking("element"),
    "gold.clicks_by_location": ranking("location"),
    "gold.clicks_by_device": ranking("device"),
    "gold.session_stats": f"""
        SELECT user_id, count(*) AS sessions, sum(clicks) AS clicks,
            avg(duration_seconds) AS avg_session_seconds,
            max(duration_seconds) AS longest_session_seconds,
            sum(clicks) / count(*) AS clicks_per_session,
            min(started_at) AS first_seen_at, max(ended_at) AS last_seen_at
        FROM mine.click_sessions WHERE {paths.COUNTS} GROUP BY user_id
    """,
}

# Each must find nothing.
FAULTS = {
    "gold.conversion_paths": paths.UNEVEN_PATHS,
    "gold.attribution": paths.UNEVEN_ATTRIBUTION,
    "gold.markov_attribution": paths.UNEVEN_MARKOV,
    "silver.click_sessions": paths.BAD_SESSION_IDS,
}
# Only its form is specified.
UNPREDICTABLE = {"silver.click_sessions": ["session_id"]}

# What is read, what is made of it before any table, and the tables.
PIPELINES = [
    (
        ("silver.sessions", "silver.final_cookies"),
        paths.prepare_sessions,
        WEB_TABLES,
    ),
    (("silver.click_events",), paths.prepare_clicks, CLICK_TABLES),
]


class Lake:
    def __init__(self, root, scratch):
        self.root = root
        self.reader = DuckDB(scratch)
        self.connection = self.reader.connection
        for schema in ("silver", *SIDES):
            self.connection.execute(f"CREATE SCHEMA {schema}")

    def path(self, table):
        return self.root.joinpath(*table.split("."))

    def holds(self, table):
        return (self.path(table) / "_delta_log").is_dir()

    def load(self, table, schema):
        self.reader.table(self.path(table)).create(f"{schema}.{bare(table)}")

    def recompute_all(self, inputs, prepare, tables):
        for table in inputs:
            self.load(table, "silver")
        prepare(self.connection)
        for table, query in tables.items():
            self.connection.execute(f"CREATE TABLE mine.{bare(table)} AS {query}")

    def check(self, table):
        """Raises Unequal with the first differences; gives the number of rows if there are none."""
        self.load(table, "lake")
        wanted, found = self.columns(f"mine.{bare(table)}"), self.columns(f"lake.{bare(table)}")
        if differing := sorted(wanted.keys() ^ found.keys()):
            raise Unequal(f"columns on one side only: {', '.join(differing)}")
        ((count,),) = self.rows(f"SELECT count(*) FROM lake.{bare(table)}")
        differing = [
            f"{side}: {row}"
            for pair in self.rows(differences(table, found))
            for side, row in zip(SIDES, pair)
            if row is not None
        ]
        if table in FAULTS:
            faults = f"SELECT fault::VARCHAR FROM ({FAULTS[table]}) AS fault LIMIT {ROWS_SHOWN}"
            differing += [f"must not be: {fault}" for (fault,) in self.rows(faults)]
        if differing:
            raise Unequal(f"{count:,} rows", differing)
        return f"{count:,} rows equal"

    def columns(self, table):
        """The names and types of the columns that are looked at."""
        relation = self.connection.table(table)
        columns = zip(relation.columns, relation.types)
        return {name: str(data_type) for name, data_type in columns if not name.startswith("_")}

    def rows(self, query):
        return self.connection.execute(query).fetchall()


def bare(table):
    return table.split(".")[1]


def differences(table, columns):
    """A query for the rows without an equal one on the other side, with what comes closest."""
    within = CREDITS_WITHIN.get(table, {})
    names = [name for name in columns if name not in UNPREDICTABLE.get(table, [])]
    loose = [name for name in names if name in within or columns[name] == "DOUBLE"]
    exact = [name for name in names if name not in loose]
    sides = ", ".join(f"{side} AS ({numbered(side, table, exact, loose)})" for side in SIDES)
    partners = " AND ".join(
        f'lake."{name}" IS NOT DISTINCT FROM mine."{name}"' for name in [*exact, "_number"]
    )
    apart = [too_far(name, within.get(name)) for name in loose]
    if not within:  # Else a row that one side leaves out is one with a credit of nothing.
        apart.append("lake._number IS NULL OR mine._number IS NULL")
    order = ", ".join(f'coalesce(lake."{name}", mine."{name}")' for name in exact)
    return (
        f"WITH {sides} SELECT lake._shown, mine._shown FROM lake FULL JOIN mine ON {partners}"
        f" WHERE {' OR '.join(apart)} ORDER BY {order} LIMIT {2 * ROWS_SHOWN}"
    )


def numbered(side, table, exact, loose):
    """Numbers the rows that agree in all exact columns, so that each has at most one partner."""
    by, order = (", ".join(f'"{name}"' for name in names) for names in (exact, loose or exact))
    return (
        f"SELECT *, row::VARCHAR AS _shown,"
        f" row_number() OVER (PARTITION BY {by} ORDER BY {order}) AS _number"
        f" FROM {side}.{bare(table)} AS row"
    )


def too_far(name, tolerance):
    theirs, ours = f'lake."{name}"', f'mine."{name}"'
    if tolerance:
        return f"abs(coalesce({theirs}, 0) - coalesce({ours}, 0)) > {tolerance}"
    size = f"greatest(abs({theirs}), abs({ours}))"
    beyond = f"abs({theirs} - {ours}) > {RELATIVE_TOLERANCE} * {size}"
    # There is nothing to subtract where one is NULL.
    return f"coalesce({beyond}, {theirs} IS DISTINCT FROM {ours})"


def check_all(lake):
    """Prints a line per table; gives how many are equal and how many are not."""
    tally = Counter()
    for inputs, prepare, tables in PIPELINES:
        lacking = [table for table in inputs if not lake.holds(table)]
        if not lacking:
            lake.recompute_all(inputs, prepare, tables)
        for table in tables:
            if not lake.holds(table):
                print(f"{table}  not there", flush=True)
                continue
            try:
                if lacking:
                    raise Unequal(f"cannot be recomputed without {', '.join(lacking)}")
                print(f"{table}  {lake.check(table)}", flush=True)
                tally["equal"] += 1
            except Unequal as error:
                print(f"{table}  DIFFERENT: {error}", flush=True)
                tally["different"] += 1
    return tally


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="recompute-") as scratch:
        tally = check_all(Lake(Path(sys.argv[1]), Path(scratch)))
    print(f"{tally['equal']} tables equal, {tally['different']} different")
    return 1 if tally["different"] or not tally["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
