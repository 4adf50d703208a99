"""What recompute.py makes of things that follow each other: paths, funnel, sessions of clicks.

A touch is a session. SQL finds the touches; the credits of each conversion and the Markov chains are
worked out in Python, where both read like their definitions.
"""

import json
from collections import Counter, defaultdict
from datetime import timedelta
from fractions import Fraction
from itertools import groupby

COUNT_BOTS = False
COUNTS = f"({COUNT_BOTS} OR NOT is_bot)"
LOOKBACK_DAYS = 30
LONGEST_PATH = 50
HALF_LIFE_DAYS = 7
MICROSECONDS_PER_DAY = 86_400_000_000
MICROSECONDS_PER_MINUTE = 60_000_000
CLOCK_SKEW = MICROSECONDS_PER_DAY
CLICK_PAUSE = 30 * MICROSECONDS_PER_MINUTE
LONGEST_CLICK_SESSION = 24 * 60 * MICROSECONDS_PER_MINUTE
CALL_TO_ACTION = "(?i)(button|link|learnmore|trynow|demo|subscribe)"
BILLION = 1_000_000_000
DIRECT = "Direct"
SEPARATOR = " > "
START, CONVERTED, LOST = 0, 1, 2  # Numbers, as channels are texts.
PATH_MODELS = ["first_touch", "last_touch", "last_non_direct", "linear"]
PATH_MODELS += ["position_based", "time_decay"]
MODELS = [*PATH_MODELS, "markov_per_conversion"]
# The first day of the period that a day belongs to; `all` has none.
PERIODS = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "all": lambda _: None,
}

# The sessions that count.
COUNTED = f"CREATE TABLE counted AS FROM silver.sessions WHERE {COUNTS}"

# Their users.
SEEN = """
    CREATE TABLE seen AS
    SELECT user_id, min(session_date) AS first_day, max(session_date) AS last_day,
        count(*) AS sessions, count(*) FILTER (conversion) AS conversions
    FROM counted GROUP BY user_id
"""

# Every session with its number among those of its user, and how many of them are touches of it.
WALKED = f"""
    CREATE TABLE walked AS
    WITH numbered AS (
        SELECT *, epoch_us(timestamp) AS micros,
            row_number() OVER (PARTITION BY user_id ORDER BY timestamp, session_id) AS number
        FROM counted
    )
    SELECT *, least({LONGEST_PATH}, 1 + number - min(number) OVER (
        PARTITION BY user_id ORDER BY micros
        RANGE BETWEEN {LOOKBACK_DAYS * MICROSECONDS_PER_DAY} PRECEDING AND CURRENT ROW
    )) AS touches
    FROM numbered
"""

JOURNEY = f"""
    CREATE TABLE journey AS
    WITH listed AS (
        SELECT *,
            micros - lag(micros) OVER (PARTITION BY user_id ORDER BY number) AS since_last,
            lag(if(conversion, NULL, struct_pack(channel, session_date))) OVER (
                PARTITION BY user_id ORDER BY number
            ) AS origin,
            (list(channel) OVER (
                PARTITION BY user_id ORDER BY number
                ROWS BETWEEN {LONGEST_PATH - 1} PRECEDING AND CURRENT ROW
            ))[-touches:] AS channels
        FROM walked
    )
    SELECT session_date, CAST(date_trunc('week', timestamp) AS DATE) AS session_week, user_id,
        session_id, timestamp, channel, source, medium, campaign,
        coalesce(conversion, false) AS is_converting, number AS session_number,
        min(session_date) OVER (PARTITION BY user_id) AS first_seen_on,
        since_last // 1000000 AS seconds_since_last, touches,
        1 + number - coalesce(list_position(list_transform(
            list_reverse(channels), lambda channel: channel <> '{DIRECT}'
        ), true), 1) AS last_non_direct,
        array_to_string(list_filter(
            channels, lambda channel, i: i = 1 OR channel <> channels[i - 1]
        ), '{SEPARATOR}') AS path,
        origin.channel AS came_from, origin.session_date AS came_from_on
    FROM listed
"""

JOURNEYS = "FROM journey"

PATH_SUMMARY = """
    SELECT session_date, path, count(*) AS journeys,
        count(*) FILTER (is_converting) AS conversions,
        conversions / journeys AS conversion_rate, avg(touches) AS avg_touches
    FROM journey GROUP BY ALL
"""

CHANNEL_EFFECTS = "FROM effects"

CHANNEL_TRANSITIONS = """
    WITH dated AS (
        SELECT *, [date_trunc(part, came_from_on) IS NOT DISTINCT FROM date_trunc(part, session_date)
            FOR part IN ['day', 'week', 'month']] AS same
        FROM journey
    )
    SELECT session_date, came_from, channel, same[1] AS is_same_day, same[2] AS is_same_week,
        same[3] AS is_same_month, count(*) AS sessions,
        count(*) FILTER (is_converting) AS conversions
    FROM dated GROUP BY ALL
"""

MARKOV_ATTRIBUTION = """
    SELECT period, starts_on, channel, removal_effect,
        CAST(units AS DECIMAL(18, 0)) * CAST(0.000000001 AS DECIMAL(10, 9)) AS credit
    FROM markov
"""

# One row per conversion and touch; `place` is the row's in the order in which credits are given.
TOUCHED = """
    CREATE TABLE touched AS
    WITH conversions AS (
        SELECT session_date, user_id, session_id, timestamp, micros, number, touches,
            unnest(range(touches)) + 1 AS touch_number
        FROM walked WHERE conversion
    )
    SELECT row_number() OVER (ORDER BY c.user_id, c.number, c.touch_number) AS place,
        c.user_id, c.number AS conversion, CAST(c.timestamp AS DATE) AS conversion_date,
        c.session_id AS conversion_session_id, c.timestamp AS converted_at,
        c.touch_number, c.touches, t.session_id, t.timestamp AS touched_at,
        c.micros - t.micros AS before, t.channel, t.source, t.medium, t.campaign
    FROM conversions c
    JOIN walked t ON t.user_id = c.user_id AND t.number = c.number - c.touches + c.touch_number
"""

CONVERSION_PATHS = """
    SELECT * EXCLUDE (place, conversion, before, markov_per_conversion),
        before // 1000000 AS seconds_before
    FROM touched JOIN credits USING (place)
"""

ATTRIBUTION = f"""
    SELECT conversion_date, model, channel, source, medium, campaign, sum(credit) AS credit
    FROM (UNPIVOT (FROM touched JOIN credits USING (place))
        ON {", ".join(MODELS)} INTO NAME model VALUE credit)
    GROUP BY ALL HAVING sum(credit) <> 0
"""

# Single credits may differ a little, their sums may not.
UNEVEN_PATHS = f"""
    SELECT user_id, conversion_session_id, converted_at, model, sum(credit) AS credit
    FROM (UNPIVOT lake.conversion_paths ON {", ".join(PATH_MODELS)} INTO NAME model VALUE credit)
    GROUP BY ALL HAVING sum(credit) <> 1
"""

UNEVEN_ATTRIBUTION = f"""
    WITH wanted AS (
        SELECT CAST(timestamp AS DATE) AS conversion_date, unnest({MODELS}) AS model,
            count(*) AS conversions
        FROM counted WHERE conversion GROUP BY ALL
    ),
    given AS (
        SELECT conversion_date, model, sum(credit) AS credit FROM lake.attribution GROUP BY ALL
    )
    SELECT conversion_date, model, conversions, credit
    FROM wanted FULL JOIN given USING (conversion_date, model)
    WHERE conversions IS DISTINCT FROM credit
    UNION ALL
    SELECT conversion_date, model, NULL, credit FROM lake.attribution WHERE credit = 0
"""

UNEVEN_MARKOV = """
    WITH wanted AS (
        SELECT period, if(period = 'all', NULL, date_trunc(period, session_date)) AS starts_on,
            count(*) FILTER (conversion) AS conversions
        FROM counted, (SELECT unnest(['day', 'week', 'month', 'all']) AS period) GROUP BY ALL
    ),
    given AS (
        SELECT period, starts_on, sum(credit) AS credit FROM lake.markov_attribution GROUP BY ALL
    )
    SELECT wanted, given FROM wanted FULL JOIN given
        ON wanted.period = given.period AND wanted.starts_on IS NOT DISTINCT FROM given.starts_on
    WHERE conversions IS DISTINCT FROM credit
"""

# Moments are (time, place) and compared like that, so that place decides between equal times. Those that
# were told too long before they came are none.
FUNNEL = f"""
    WITH session AS (
        SELECT rowid AS id, *, row(epoch_us(timestamp), -1) AS began,
            epoch_us(_ingested_at) + {CLOCK_SKEW} AS latest
        FROM counted
    ),
    listed AS (
        SELECT id, began, latest, unnest(events) AS event, unnest(range(len(events))) AS place
        FROM session
    ),
    event AS (
        SELECT id, began, event.event_type, coalesce(event.element_id, '') AS element_id,
            row(epoch_us(try_cast(event.timestamp AS TIMESTAMPTZ)), place) AS moment
        FROM listed WHERE epoch_us(try_cast(event.timestamp AS TIMESTAMPTZ)) <= latest
    ),
    called AS (
        SELECT id, min(moment) AS called FROM event
        WHERE event_type = 'click' AND regexp_matches(element_id, '{CALL_TO_ACTION}')
            AND moment > began
        GROUP BY id
    ),
    submitted AS (
        SELECT id, min(moment) AS submitted FROM event JOIN called USING (id)
        WHERE event_type = 'submit' AND moment > called GROUP BY id
    ),
    counted AS (
        SELECT session_date, channel, count(*) AS first, count(called) AS second,
            count(submitted) AS third, count(submitted) FILTER (conversion) AS fourth,
            avg(called[1] - began[1]) / 1e6 AS to_second,
            avg(submitted[1] - called[1]) / 1e6 AS to_third
        FROM session LEFT JOIN called USING (id) LEFT JOIN submitted USING (id) GROUP BY ALL
    )
    SELECT session_date, channel, 1 AS step, 'page_view' AS name, first AS sessions, 1.0 AS rate,
        1.0 AS step_rate, CAST(NULL AS DOUBLE) AS avg_seconds_since_step
    FROM counted UNION ALL
    SELECT session_date, channel, 2, 'call_to_action', second, second / first, second / first,
        to_second FROM counted UNION ALL
    SELECT session_date, channel, 3, 'submission', third, third / first,
        third / nullif(second, 0), to_third FROM counted UNION ALL
    SELECT session_date, channel, 4, 'conversion', fourth, fourth / first,
        fourth / nullif(third, 0), NULL FROM counted
"""

# The one that was delivered last.
CLICKS = """
    SELECT * EXCLUDE (problem) FROM silver.click_events WHERE problem IS NULL
    QUALIFY 1 = row_number() OVER (
        PARTITION BY click_date, click_id ORDER BY _batch DESC, _source DESC, _position DESC
    )
"""

NUMBERED_CLICKS = f"""
    CREATE TABLE numbered_clicks AS
    SELECT *, row_number() OVER (ORDER BY user_id, is_bot, clicked_at, click_id) AS number
    FROM ({CLICKS}) WHERE user_id IS NOT NULL
"""

# The session_id is only there for the names of the columns to agree.
CLICK_SESSIONS = """
    SELECT CAST(min(clicked_at) AS DATE) AS session_date, user_id, is_bot, session_number,
        '' AS session_id, min(clicked_at) AS started_at, max(clicked_at) AS ended_at,
        epoch(max(clicked_at) - min(clicked_at)) AS duration_seconds, count(*) AS clicks,
        count(DISTINCT page) AS pages,
        list(page ORDER BY number)[1] AS landing_page, list(page ORDER BY number)[-1] AS exit_page
    FROM numbered_clicks JOIN click_session USING (number)
    GROUP BY user_id, is_bot, session_number
"""

BAD_SESSION_IDS = """
    SELECT session_id, count(*) AS sessions FROM lake.click_sessions GROUP BY session_id
    HAVING count(*) > 1 OR session_id IS NULL
        OR NOT regexp_full_match(session_id, '[0-9a-f]{32}')
"""


def prepare_sessions(connection):
    """Makes what the queries read."""
    connection.execute(COUNTED)
    connection.execute(SEEN)
    connection.execute(WALKED)
    connection.execute(JOURNEY)
    effects = dict(removal_effects(connection))
    columns = {
        "session_date": ("DATE", [day for day, _ in effects]),
        "channel": ("VARCHAR", [channel for _, channel in effects]),
        "removal_effect": ("DOUBLE", list(effects.values())),
        "share": ("DOUBLE", shares(effects)),
    }
    create(connection, "effects", columns)
    create(connection, "markov", markov(connection))
    connection.execute(TOUCHED)
    credits = all_credits(connection, effects)
    columns = {model: ("BIGINT", [units[model] for units in credits]) for model in MODELS}
    create(connection, "units", columns | {"place": ("BIGINT", range(1, len(credits) + 1))})
    as_decimals = ", ".join(
        f"CAST({model} * 0.000000001 AS DECIMAL(10, 9)) AS {model}" for model in MODELS
    )
    connection.execute(f"CREATE TABLE credits AS SELECT place, {as_decimals} FROM units")


def create(connection, table, columns):
    """Makes a table of lists; they go through JSON, as parameters are slow with long lists."""
    selected = ", ".join(
        f"unnest(CAST(CAST(${i} AS JSON) AS {data_type}[])) AS {name}"
        for i, (name, (data_type, _)) in enumerate(columns.items(), 1)
    )
    lists = [json.dumps(list(values), default=str) for _, values in columns.values()]
    connection.execute(f"CREATE TABLE {table} AS SELECT {selected}", lists)


def removal_effects(connection):
    """Yields ((day, channel), effect) for every channel on the ways up to the day's sessions."""
    counted = connection.execute(
        "SELECT session_date, path, is_converting, count(*) FROM journey GROUP BY ALL"
        " ORDER BY ALL"
    ).fetchall()
    for day, journeys in groupby(counted, key=lambda journey: journey[0]):
        paths = {(tuple(path.split(SEPARATOR)), ends): times for _, path, ends, times in journeys}
        for channel, effect in effects_of(paths):
            yield (day, channel), effect


def markov(connection):
    """What each channel gets in each period, as columns, with credits in billionths."""
    sessions = connection.execute(
        "SELECT user_id, session_date, channel, coalesce(conversion, false) FROM walked"
        " ORDER BY user_id, number"
    ).fetchall()
    columns = {
        "period": ("VARCHAR", []),
        "starts_on": ("DATE", []),
        "channel": ("VARCHAR", []),
        "removal_effect": ("DOUBLE", []),
        "units": ("BIGINT", []),
    }
    for period, start_of in PERIODS.items():
        for start, paths in paths_of(sessions, start_of).items():
            conversions = sum(times for (_, is_converting), times in paths.items() if is_converting)
            effects = sorted(effects_of(paths))
            for (channel, effect), part in zip(effects, split([Fraction(e) for _, e in effects])):
                row = (period, start, channel, effect, part * conversions)
                for (_, values), value in zip(columns.values(), row):
                    values.append(value)
    return columns


def paths_of(sessions, start_of):
    """How often each path occurs in each period, in which each session is on one path."""
    paths = defaultdict(Counter)
    for (_, start), visits in groupby(sessions, key=lambda visit: (visit[0], start_of(visit[1]))):
        path = []
        for *_, channel, is_converting in visits:
            path.append(channel)
            if is_converting:
                paths[start][tuple(path), True] += 1
                path = []
        if path:
            paths[start][tuple(path), False] += 1
    return paths


def effects_of(paths):
    """Yields (channel, removal effect) by one chain over all `paths`, which are counted."""
    steps = defaultdict(Counter)
    for (channels, is_converting), times in paths.items():
        states = [START, *channels, CONVERTED if is_converting else LOST]
        for state, following in zip(states, states[1:]):
            steps[state][following] += times
    reached = probability(steps)
    for channel in steps:
        if channel != START:
            without = probability(steps, channel)
            yield channel, 1 - without / reached if reached else 0.0


def probability(steps, removed=LOST):
    """How likely the chain comes from START to CONVERTED, if every way into `removed` is lost.

    The likelihoods p of all states solve p = Q p + b, Q being the steps among them and b those to
    CONVERTED. I - Q is diagonally dominant, so that elimination needs no search for pivots.
    """
    states = [state for state in steps if state != removed]
    rows = []
    for state in states:
        total = steps[state].total()
        row = [(state == other) - steps[state][other] / total for other in states]
        rows.append([*row, steps[state][CONVERTED] / total])
    for i, pivot_row in enumerate(rows):
        pivot = pivot_row[i]
        pivot_row[:] = [value / pivot for value in pivot_row]
        for j, row in enumerate(rows):
            factor = row[i]
            if j != i and factor:
                row[:] = [value - factor * other for value, other in zip(row, pivot_row)]
    return rows[states.index(START)][-1]


def shares(effects):
    """Each effect's part of the sum of its day, in the same order."""
    sums = Counter()
    for (day, _), effect in effects.items():
        sums[day] += effect
    return [effect / sums[day] if sums[day] else 0.0 for (day, _), effect in effects.items()]


def all_credits(connection, effects):
    """The credits of all touches in billionths, by model, in the order of `place`."""
    touches = connection.execute(
        "SELECT user_id, conversion, conversion_date, channel, before FROM touched ORDER BY place"
    ).fetchall()
    credits = []
    for _, path in groupby(touches, key=lambda touch: touch[:2]):
        path = list(path)
        day = path[0][2]
        channels = [channel for *_, channel, _ in path]
        ages = [before / MICROSECONDS_PER_DAY for *_, before in path]
        of_models = weights(channels, ages, {c: effects[day, c] for c in set(channels)})
        split_up = [split(of_models[model]) for model in MODELS]
        credits.extend(dict(zip(MODELS, units)) for units in zip(*split_up))
    return credits


def weights(channels, ages, effects):
    """How much each touch of one path weighs in each model, on whatever scale."""
    n = len(channels)
    last_heard = max((i for i in range(n) if channels[i] != DIRECT), default=n - 1)
    between = [1] * (n - 2)
    # 0.4, 0.2 shared by those between, 0.4: times 5 (n - 2), these are whole numbers.
    ends = [2 * len(between)] if between else [1]
    often = Counter(channels)
    return {
        "first_touch": [int(i == 0) for i in range(n)],
        "last_touch": [int(i == n - 1) for i in range(n)],
        "last_non_direct": [int(i == last_heard) for i in range(n)],
        "linear": [1] * n,
        "position_based": [1] if n == 1 else ends + between + ends,
        "time_decay": [Fraction(2 ** (-age / HALF_LIFE_DAYS)) for age in ages],
        "markov_per_conversion": [
            Fraction(effects[channel]) / often[channel] for channel in channels
        ],
    }


def split(weights):
    """Splits a billion by weight into whole numbers, the rest by the largest remainder."""
    if not any(weights):
        weights = [1] * len(weights)
    total = sum(weights)
    parts = [weight * BILLION // total for weight in weights]
    remainders = [weight * BILLION % total for weight in weights]
    # Sorting is stable: of equal remainders the first comes first.
    by_remainder = sorted(range(len(weights)), key=lambda i: remainders[i], reverse=True)
    for i in by_remainder[: BILLION - sum(parts)]:
        parts[i] += 1
    return parts


def prepare_clicks(connection):
    """Makes what CLICK_SESSIONS reads."""
    connection.execute(NUMBERED_CLICKS)
    clicks = connection.execute(
        "SELECT user_id, is_bot, epoch_us(clicked_at) FROM numbered_clicks ORDER BY number"
    ).fetchall()
    columns = {
        "number": ("BIGINT", range(1, len(clicks) + 1)),
        "session_number": ("BIGINT", session_numbers(clicks)),
    }
    create(connection, "click_session", columns)


def session_numbers(clicks):
    """Yields for each click, in the order of user and time, the number of the user's session.

    Those that are taken for a bot's are a user of their own.
    """
    for _, of_user in groupby(clicks, key=lambda click: click[:2]):
        number, began, last = 0, 0, 0
        for *_, at in of_user:
            if not number or at - last >= CLICK_PAUSE or at - began > LONGEST_CLICK_SESSION:
                number, began = number + 1, at
            last = at
            yield number
