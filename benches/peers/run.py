"""clickwatch and its peers do the same job on the same files, one after the other.

    run.py CLICKWATCH PROJECT TOOLS DIR --sessions N --rounds N [--peers NAME,...]

TOOLS is what setup.sh made. In every round each runs as a process of its own into an empty lake; its
wall time, CPU time and peak memory are measured, and after the first round every table of each peer
must hold exactly the rows of clickwatch's. Ends with 1 when one does not, or when a job fails.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
from deltalake import DeltaTable

HERE = Path(__file__).parent
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
TABLES = [
    "bronze.web_sessions",
    "silver.sessions",
    "silver.final_cookies",
    "silver.visit_count",
    "gold.utm_attribution",
    "gold.conversions",
    "gold.return_visitors",
]
# What clickwatch adds to each row for itself, and what a peer needs for telling the newest delivery.
OWN_COLUMNS = {"_source", "_position", "_batch", "_ingested_at", "_rescued", "_raw", "filename", "file"}
# What clickwatch computes besides, and its peers need not: claims in one form, bots, how users come back.
BESIDES = {
    "silver.sessions": {
        "source", "medium", "campaign", "click_id", "is_bot", "bot_reason",
        "claimed_device_type", "claimed_os", "claimed_browser",
    },
    "silver.final_cookies": {"is_bot"},
    "silver.visit_count": {"active_days", "conversions", "avg_days_between", "first_human_at"},
}  # fmt: skip
# What clickwatch brings to one form where its peers have what was claimed: the column that has the claim.
CLAIMED = {"silver.sessions": {"device_type": "claimed_device_type", "os": "claimed_os", "browser": "claimed_browser"}}
# Where clickwatch tells more rows apart, by source, medium and campaign in one form: what adds up is compared,
# by the columns of the peers' rows. Visitors and averages do not add up, and are not compared.
ADDED_UP = {
    "gold.utm_attribution": (
        ["session_date", "channel", "platform", "utm_medium", "utm_campaign"],
        ["sessions", "conversions", "bounces", "engaged_sessions"],
    ),
}


class Measured:
    """What one process and all its children took."""

    def __init__(self, command, environment=None):
        self.peak, self.cpu = 0, 0.0
        started = time.perf_counter()
        environment = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        done = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(process.pid, done))
        watcher.start()
        # Drained by threads of their own, so that wait4 is the only one that waits for the process.
        texts = {}
        readers = [
            threading.Thread(target=lambda name, pipe: texts.update({name: pipe.read()}), args=(name, pipe))
            for name, pipe in (("out", process.stdout), ("err", process.stderr))
        ]
        for reader in readers:
            reader.start()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        for thread in (watcher, *readers):
            thread.join()
        # The kernel knows the process exactly; only children that outlive it have to be sampled.
        self.cpu = max(self.cpu, usage.ru_utime + usage.ru_stime)
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        if process.returncode != 0:
            sys.stderr.write(texts["err"].decode(errors="replace")[-4000:])
            raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
        self.output = texts["out"].decode()

    def watch(self, root, done):
        while not done.wait(0.05):
            memory, cpu = 0, 0.0
            for pid in self.family(root):
                try:
                    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
                    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                except (OSError, IndexError):
                    continue
                memory += resident
                cpu += (int(times[11]) + int(times[12])) / TICK
            self.peak, self.cpu = max(self.peak, memory), max(self.cpu, cpu)

    @staticmethod
    def family(root):
        found, open_ = [], [root]
        while open_:
            pid = open_.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    open_.extend(int(child) for child in children.read_text().split())
                except OSError:
                    continue
        return found


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.landing = arguments.dir / "landing"
        self.tools = arguments.tools

    def generate(self):
        wanted = ["sessions", str(self.landing), "--count", str(self.arguments.sessions)]
        if not self.landing.exists():
            subprocess.run(
                [self.arguments.clickwatch, "generate", *wanted, "--files", "8", "--days", "30", "--seed", "5"],
                check=True,
            )
        return sum(file.stat().st_size for file in self.landing.glob("part-*.json"))

    def lake(self, name):
        return self.arguments.dir / f"lake-{name}"

    def command(self, name):
        lake, landing = str(self.lake(name)), str(self.landing)
        peers = self.tools / "peers" / "bin" / "python"
        match name:
            case "clickwatch":
                # All of the tables, and nothing that the peers do not write.
                selected = [part for table in TABLES for part in ("--select", table)]
                return [
                    self.arguments.clickwatch, "run", "web_traffic", "--project", self.arguments.project,
                    "--lake", lake, "--source", f"web_sessions={landing}", "--format", "json",
                    "--memory", self.arguments.memory, *selected,
                ]  # fmt: skip
            case "spark":
                spark = self.tools / "readers" / "venv" / "bin" / "python"
                return [spark, HERE / "spark_job.py", landing, lake, self.tools / "readers" / "jars"]
            case _:
                return [peers, HERE / f"{name}_job.py", landing, lake]

    def run(self, name):
        shutil.rmtree(self.lake(name), ignore_errors=True)
        os.sync()
        measured = Measured(list(map(str, self.command(name))))
        report = json.loads(measured.output.strip().splitlines()[-1] if name != "clickwatch" else measured.output)
        measured.stages = self.stages(report) if name == "clickwatch" else report
        files = [file for file in self.lake(name).rglob("*.parquet") if "_delta_log" not in file.parts]
        measured.bytes = sum(file.stat().st_size for file in files)
        return measured

    @staticmethod
    def stages(report):
        [pipeline] = report["pipelines"]
        parts = pipeline["sources"] + pipeline["tables"]
        return {part["table"]: part["milliseconds"] / 1000 for part in parts}


def rows_of(connection, lake, table):
    """What there is to compare of a table: its number of rows and a checksum of its columns."""
    path = Path(lake, *table.split("."))
    delta = DeltaTable(str(path))
    files = [uri.removeprefix("file://") for uri in delta.file_uris()]
    rows = connection.read_parquet(files, hive_partitioning=True)
    if table in ADDED_UP:
        by, sums = ADDED_UP[table]
        rows = rows.aggregate(", ".join([*by, *(f"sum({name})::BIGINT AS {name}" for name in sums)]))
    claimed = {name: claim for name, claim in CLAIMED.get(table, {}).items() if claim in rows.columns}
    columns = {}
    for name, data_type in zip(rows.columns, rows.types):
        text = f'"{claimed.get(name, name)}"'
        if str(data_type) == "DOUBLE":
            # Sums of the same fractions in another order differ in the last digits.
            text = f"round({text}, 9)"
        elif str(data_type).startswith("TIMESTAMP"):
            text = f"epoch_us({text})"
        columns[name] = f"{text}::VARCHAR"
    left_out = OWN_COLUMNS | BESIDES.get(table, set())
    kept = sorted(name for name in columns if name not in left_out)
    row = f"hash([{', '.join(f'hash({columns[name]})' for name in kept)}])::HUGEINT"
    [(count, total)] = rows.aggregate(f"count(*), sum({row})").fetchall()
    return kept, count, total


def compare(bench, names):
    """Whether every peer's tables hold the rows of clickwatch's."""
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    equal = True
    for table in TABLES:
        own = rows_of(connection, bench.lake("clickwatch"), table)
        for name in names:
            if name == "clickwatch":
                continue
            theirs = rows_of(connection, bench.lake(name), table)
            if theirs != own:
                equal = False
                print(f"{table}: {name} has other rows: {theirs} and not {own}")
    return equal


def median(runs, of):
    return statistics.median(of(run) for run in runs)


def spread(values):
    values = sorted(values)
    return f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


def print_tables(names, rounds):
    runs = {name: [measured[name] for measured in rounds] for name in names}
    print(f"\n| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")

    def line(what, cell):
        print(f"| {what} | {' | '.join(cell(name) for name in names)} |")

    line("wall, s", lambda name: spread([run.wall for run in runs[name]]))
    line("times clickwatch's, by round", lambda name: spread(
        [measured[name].wall / measured["clickwatch"].wall for measured in rounds]))
    line("CPU, s", lambda name: f"{median(runs[name], lambda run: run.cpu):.1f}")
    line("peak memory, GiB", lambda name: f"{median(runs[name], lambda run: run.peak) / 2**30:.2f}")
    line("written, MiB", lambda name: f"{median(runs[name], lambda run: run.bytes) / 2**20:.0f}")
    for stage in [*TABLES, "start"]:
        if any(stage in runs[name][0].stages for name in names):
            line(stage, lambda name: cell_of(stage, name, rounds))


def cell_of(stage, name, rounds):
    if stage not in rounds[0][name].stages:
        return ""
    seconds = statistics.median(measured[name].stages[stage] for measured in rounds)
    if name == "clickwatch" or stage not in rounds[0]["clickwatch"].stages:
        return f"{seconds:.2f}"
    ratio = statistics.median(
        measured[name].stages[stage] / max(measured["clickwatch"].stages[stage], 1e-3) for measured in rounds)
    return f"{seconds:.2f} ({ratio:.1f}x)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clickwatch", type=Path)
    parser.add_argument("project", type=Path)
    parser.add_argument("tools", type=Path)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="2GiB", help="what clickwatch may use")
    parser.add_argument("--peers", default="duckdb,polars,spark")
    bench = Bench(parser.parse_args())
    names = ["clickwatch", *filter(None, bench.arguments.peers.split(","))]
    size = bench.generate()
    print(f"{bench.arguments.sessions:,} sessions, {size / 1e6:,.0f} MB of JSON, {os.cpu_count()} cores")
    rounds = []
    for number in range(1, bench.arguments.rounds + 1):
        rounds.append({name: bench.run(name) for name in names})
        walls = ", ".join(f"{name} {measured.wall:.2f}" for name, measured in rounds[-1].items())
        print(f"round {number}, seconds: {walls}", flush=True)
        if number == 1 and not compare(bench, names):
            raise SystemExit("the tables are not the same: the times say nothing")
        if number == 1:
            print("all tables hold the same rows", flush=True)
    print_tables(names, rounds)


if __name__ == "__main__":
    main()
