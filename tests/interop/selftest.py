"""Shows that compare.py passes on a lake that reads the same everywhere, and fails on others.

Builds small lakes with the deltalake package and runs compare.py on them, with fake_clickwatch.py
in place of the binary. The fake serves one lake while DuckDB and Spark read another: first the same
one, then one with a single change in each table that compare.py must find.

    setup.sh DIR
    DIR/venv/bin/python selftest.py DIR/jars

Prints a line per case and what compare.py said about each change; exits with 1 if a case fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import DeltaTable, write_deltalake

HERE = Path(__file__).parent

SESSIONS = """
    select
        'session ' || i as session_id,
        date '2024-02-28' + (i % 3)::integer as day,
        timestamptz '2024-02-28 23:59:59.999999+00' + to_minutes(i) as started_at,
        encode('payload ' || i) as payload,
        i / 7 as score,
        i % 2 = 0 as converted,
        [{'url': '/page/' || i, 'seconds': nullif(i, 3)}, null] as pages,
        map {'campaign': i} as labels
    from range(12) sessions(i)
"""
DAILY = "select date '2024-02-28' as day, unnest([1, 1, 2]) as visits"


@dataclass
class Case:
    """A lake that the readers see while clickwatch sees the one made of SESSIONS and DAILY."""

    name: str
    last_line: str
    sessions: str = SESSIONS
    daily: str = DAILY
    configuration: dict | None = None
    options: tuple = ()
    must_say: tuple = ()


CASES = [
    Case(
        "equal lakes",
        "6 passed, 0 failed",
        must_say=("silver.sessions  duckdb 12 rows equal", "gold.daily  spark 3 rows equal"),
    ),
    Case(
        "a nested value differs; as many rows, but another one twice",
        "2 passed, 4 failed",
        sessions=SESSIONS.replace("nullif(i, 3)", "nullif(i, 4)"),
        daily=DAILY.replace("[1, 1, 2]", "[1, 2, 2]"),
        must_say=("silver.sessions  spark FAILED", "only in clickwatch:", "only in duckdb:"),
    ),
    Case(
        "a key of a map differs; a row is missing",
        "2 passed, 4 failed",
        sessions=SESSIONS.replace("campaign", "referrer"),
        daily=DAILY.replace("[1, 1, 2]", "[1, 2]"),
        must_say=("gold.daily  duckdb FAILED: rows differ: 2 here, 3 in clickwatch",),
    ),
    Case(
        "columns in another order; a column of another type",
        "2 passed, 4 failed",
        sessions=f"select payload, * exclude (payload) from ({SESSIONS})",
        daily=DAILY.replace("as visits", "::smallint as visits"),
        must_say=("+payload BLOB", "+visits smallint"),
    ),
    Case(
        "a protocol that asks for more",
        "2 passed, 2 failed",
        configuration={"delta.enableDeletionVectors": "true"},
        options=("--duckdb-only",),
        must_say=("protocol FAILED: reader version 3, writer version 7",),
    ),
]


def write_lake(lake, sessions_query=SESSIONS, daily_query=DAILY, configuration=None):
    """silver.sessions is partitioned; of gold.daily's first commits only a checkpoint is left."""
    sessions, daily = lake / "silver" / "sessions", lake / "gold" / "daily"
    write_deltalake(
        sessions, duckdb.sql(sessions_query), partition_by=["day"], configuration=configuration
    )
    write_deltalake(daily, duckdb.sql(daily_query), configuration=configuration)
    write_deltalake(daily, duckdb.sql(daily_query), mode="overwrite")
    DeltaTable(daily).create_checkpoint()
    (daily / "_delta_log" / f"{0:020}.json").unlink()


def run_compare(project, lake, jars, options):
    # The fake finds the interpreter that has deltalake on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [HERE / "compare.py", HERE / "fake_clickwatch.py", project, lake, jars, *options]
    return subprocess.run(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    )


def complaints(case, done):
    """What compare.py should have said or done on this case and did not."""
    lines = done.stdout.splitlines()
    if lines[-1:] != [case.last_line]:
        yield f"does not end with {case.last_line!r}"
    yield from (f"does not say {words!r}" for words in case.must_say if words not in done.stdout)
    expected = 0 if case.last_line.endswith(" 0 failed") else 1
    if done.returncode != expected:
        yield f"exits with {done.returncode}, not {expected}"


def run_case(case, folder, jars):
    project, lake = folder / "project", folder / "lake"
    write_lake(project)
    write_lake(lake, case.sessions, case.daily, case.configuration)
    done = run_compare(project, lake, jars, case.options)
    wrong = list(complaints(case, done))
    print(f"{'FAILED' if wrong else 'ok'}: {case.name}")
    for complaint in wrong:
        print(f"  compare.py {complaint}")
    print(textwrap.indent(done.stdout, "    "), end="", flush=True)
    return not wrong


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("jars_dir", type=Path)
    jars = parser.parse_args().jars_dir
    with tempfile.TemporaryDirectory(prefix="interop-selftest-") as folder:
        results = [
            run_case(case, Path(folder) / str(number), jars) for number, case in enumerate(CASES)
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
