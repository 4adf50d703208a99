"""The analyst queries of queries.sql over one lake, by clickwatch and by DuckDB with its delta extension.

    queries.py CLICKWATCH LAKE --rounds N

Both answer all of them in one process, in turn, and both must give the same rows. What is compared is
the time of each query within the process, and of the whole process beside it.
"""

import argparse
import csv
import importlib.resources
import io
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
TABLES = [
    "silver.sessions",
    "silver.final_cookies",
    "gold.utm_attribution",
    "gold.return_visitors",
]


def statements(user):
    text = (HERE / "queries.sql").read_text().replace("{user}", user)
    text = text.split("\n\n", 1)[1]
    return [(part.strip().split("\n", 1)[0][3:], part.strip()) for part in text.split(";\n") if part.strip()]


def duckdb_process(lake, user):
    """Answers all queries; for each its seconds and its rows."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    package = importlib.resources.files("duckdb_extension_delta")
    connection.load_extension(str(package / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"))
    connection.execute("SET timezone = 'UTC'")
    for schema in ("silver", "gold"):
        connection.execute(f"CREATE SCHEMA {schema}")
    for table in TABLES:
        name = table.replace(".", "_")
        # Pinned, so that the log is read once.
        connection.execute(f"ATTACH '{Path(lake, *table.split('.'))}' AS {name} (TYPE delta, PIN_SNAPSHOT)")
        connection.execute(f"CREATE VIEW {table} AS FROM {name}")
    answers = []
    for _, query in statements(user):
        started = time.perf_counter()
        rows = connection.execute(query).fetchall()
        answers.append((time.perf_counter() - started, rows))
    return answers


def clickwatch_process(clickwatch, lake, user):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(";\n".join(query for _, query in statements(user)))
        file.flush()
        done = subprocess.run(
            [clickwatch, "sql", "--lake", lake, "--latest", "--format", "csv", "--timing", "--file", file.name],
            capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    seconds = [float(found) / 1000 for found in re.findall(r"^Time: ([0-9.]+) ms$", done.stderr, re.MULTILINE)]
    results = [list(csv.reader(io.StringIO(part)))[1:] for part in done.stdout.split("\n\n")]
    return list(zip(seconds, results, strict=True))


def same(left, right):
    """Whether two answers hold the same values, however each spells them."""

    def value(cell):
        if cell is None or cell == "":
            return None
        text = str(cell).replace("T", " ").replace("+00:00", "").removesuffix("Z")
        try:
            return float(text)
        except ValueError:
            return text

    def is_same(one, other):
        one, other = value(one), value(other)
        if isinstance(one, float) and isinstance(other, float):
            # Percentiles between two values are interpolated with different precision.
            return math.isclose(one, other, rel_tol=1e-6)
        return one == other

    return len(left) == len(right) and all(
        all(map(is_same, one, other)) for one, other in zip(left, right, strict=True)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clickwatch")
    parser.add_argument("lake")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duckdb", metavar="USER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.duckdb:
        print(json.dumps(duckdb_process(arguments.lake, arguments.duckdb), default=str))
        return
    busiest = "SELECT user_id FROM silver.visit_count ORDER BY sessions DESC, user_id LIMIT 1"
    command = [arguments.clickwatch, "sql", "--lake", arguments.lake, "--latest", "--format", "csv", busiest]
    user = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]
    names = [name for name, _ in statements(user)]
    own, theirs, processes = [], [], []
    for number in range(arguments.rounds):
        started = time.perf_counter()
        answers = clickwatch_process(arguments.clickwatch, arguments.lake, user)
        between = time.perf_counter()
        text = subprocess.run(
            [sys.executable, __file__, arguments.clickwatch, arguments.lake, "--duckdb", user],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        ended = time.perf_counter()
        peers = json.loads(text)
        for name, (_, left), (_, right) in zip(names, answers, peers, strict=True):
            if not same(left, right):
                raise SystemExit(f"{name}: the answers differ: {left[:3]} and {right[:3]}")
        own.append([seconds for seconds, _ in answers])
        theirs.append([seconds for seconds, _ in peers])
        processes.append((between - started, ended - between))
    print(f"\n| query, ms (median of {arguments.rounds}) | clickwatch | DuckDB | DuckDB's / clickwatch's |\n|---|---|---|---|")
    for place, name in enumerate(names):
        line(name, [row[place] for row in own], [row[place] for row in theirs])
    line("all ten", [sum(row) for row in own], [sum(row) for row in theirs])
    line("whole process", [one for one, _ in processes], [other for _, other in processes])


def line(name, own, theirs):
    ratio = statistics.median(right / left for left, right in zip(own, theirs, strict=True))
    print(f"| {name} | {1000 * statistics.median(own):.0f} | {1000 * statistics.median(theirs):.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
