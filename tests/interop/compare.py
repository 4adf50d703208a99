"""Shows that readers written by others see the rows that clickwatch itself sees.

Every table of the layers bronze, silver, gold and ops is exported with `clickwatch sql` and read
again, straight from its Delta directory, by DuckDB's delta extension and by Spark with Delta. Each
reader must find the same column names in the same order, the same types, the same number of rows,
and no row on one side that is not on the other as often (EXCEPT ALL, both ways). The table's log
must ask for reader version 1 and writer version 2 to 4, which is what makes it readable elsewhere.

Tolerated: each reader loads both the table and the export, so how a Parquet file spells a type
(dictionary, string view, unit of a timestamp) is the reader's business, and neither reader's types
tell nullability. Nothing else. Spark has no EXCEPT for maps, so there their JSON is compared.

    setup.sh DIR
    DIR/venv/bin/python compare.py CLICKWATCH_BINARY PROJECT_DIR LAKE_DIR DIR/jars [--duckdb-only]

Prints a line per table and reader and ends with `N passed, M failed`; exits with 1 if any failed.
"""

import argparse
import difflib
import importlib.resources
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

LAYERS = ("bronze", "silver", "gold", "ops")
READER_VERSIONS = (1,)
WRITER_VERSIONS = (2, 3, 4)
ROWS_SHOWN = 3


class ClickwatchError(Exception):
    """The program under test failed."""


class Unequal(Exception):
    """A reader found something else than it should have."""

    def __init__(self, summary, details=()):
        super().__init__("\n    ".join([summary, *details]))


class Clickwatch:
    def __init__(self, binary, project, lake):
        self.binary = binary
        self.options = ["--project", project, "--lake", lake, "--format"]

    def tables(self):
        listing = self.run("tables", "list", *self.options, "json", stdout=subprocess.PIPE)
        names = [entry["table"] for entry in json.loads(listing)]
        tables = sorted(name for name in names if name.split(".")[0] in LAYERS)
        if not tables:
            raise ClickwatchError(f"`tables list` names no table of {', '.join(LAYERS)}")
        return tables

    def export(self, table, path):
        with path.open("wb") as file:
            self.run("sql", *self.options, "parquet", f"select * from {table}", stdout=file)

    def run(self, *arguments, stdout):
        command = [self.binary, *arguments]
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE)
        if done.returncode != 0:
            message = done.stderr.decode(errors="replace").strip()
            raise ClickwatchError(f"`{' '.join(map(str, command))}` failed: {message}")
        return done.stdout


class DuckDB:
    name = "duckdb"

    def __init__(self, scratch):
        self.connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "memory_limit": "4GB",
                "temp_directory": str(scratch / "duckdb"),
            }
        )
        self.connection.load_extension(str(self.delta_extension()))
        self.connection.execute("set timezone = 'UTC'")

    @staticmethod
    def delta_extension():
        """The file in the PyPI package, made for exactly the version of DuckDB it requires."""
        package = importlib.resources.files("duckdb_extension_delta")
        return package / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"

    def table(self, path):
        return self.connection.table_function("delta_scan", [str(path)])

    def export(self, path):
        return self.connection.read_parquet(str(path))

    def columns(self, rows):
        return [f"{name} {data_type}" for name, data_type in zip(rows.columns, rows.types)]

    def count(self, rows):
        return rows.count("*").fetchone()[0]

    def surplus(self, left, right):
        """The first rows that are more often in `left` than in `right`."""
        # A relation's except_ is EXCEPT ALL.
        rows = left.except_(right).limit(ROWS_SHOWN).set_alias("whole_row")
        return [text for (text,) in rows.select("whole_row::varchar").fetchall()]


class Spark:
    name = "spark"
    json_options = {
        "ignoreNullFields": "false",
        "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    }

    def __init__(self, jars, scratch):
        # Imported here so that --duckdb-only needs neither pyspark nor Java.
        from pyspark.sql import SparkSession, functions

        self.functions = functions
        settings = {
            "spark.jars": ",".join(str(jar) for jar in jars.glob("*.jar")),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            "spark.driver.memory": "4g",
            "spark.driver.host": "127.0.0.1",
            "spark.log.level": "ERROR",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # The defaults, 200 and 50, are meant for a cluster.
            "spark.sql.shuffle.partitions": "8",
            "spark.databricks.delta.snapshotPartitions": "2",
        }
        self.session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()

    def table(self, path):
        return self.session.read.format("delta").load(str(path))

    def export(self, path):
        return self.session.read.parquet(str(path))

    def columns(self, rows):
        return [f"{name} {data_type}" for name, data_type in rows.dtypes]

    def count(self, rows):
        return rows.count()

    def surplus(self, left, right):
        """The first rows that are more often in `left` than in `right`."""
        rows = self.without_maps(left).exceptAll(self.without_maps(right))
        whole_row = self.to_json(self.functions.struct("*"))
        return [text for (text,) in rows.select(whole_row).take(ROWS_SHOWN)]

    def without_maps(self, rows):
        return rows.select([self.without_map(field) for field in rows.schema])

    def without_map(self, field):
        column = self.functions.col(f"`{field.name}`")
        has_map = '"type":"map"' in field.dataType.json()
        return self.to_json(column).alias(field.name) if has_map else column

    def to_json(self, column):
        return self.functions.to_json(column, self.json_options)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, table, reader, look, *arguments):
        try:
            finding = look(*arguments)
        except Exception as error:  # Whatever keeps a reader from a table is what this looks for.
            self.fail(table, reader, error)
        else:
            self.passed += 1
            print(f"{table}  {reader} {finding}", flush=True)

    def fail(self, table, reader, error):
        self.failed += 1
        reason = str(error).split("\n\tat ")[0]  # Without Java's stack trace.
        print(f"{table}  {reader} FAILED: {reason}", flush=True)


def check_rows(reader, table_path, export_path):
    theirs, ours = reader.table(table_path), reader.export(export_path)
    check_columns(reader, theirs, ours)
    count, expected = reader.count(theirs), reader.count(ours)
    differing = [
        *(f"only in {reader.name}: {row}" for row in reader.surplus(theirs, ours)),
        *(f"only in clickwatch: {row}" for row in reader.surplus(ours, theirs)),
    ]
    if differing or count != expected:
        raise Unequal(f"rows differ: {count:,} here, {expected:,} in clickwatch", differing)
    return f"{count:,} rows equal"


def check_columns(reader, theirs, ours):
    changes = difflib.unified_diff(
        reader.columns(ours), reader.columns(theirs), "clickwatch", reader.name, lineterm="", n=0
    )
    if changes := list(changes):
        raise Unequal("columns differ", changes)


def check_protocol(table_path):
    protocol = newest_protocol(table_path / "_delta_log")
    reader, writer = protocol["minReaderVersion"], protocol["minWriterVersion"]
    versions = f"reader version {reader}, writer version {writer}"
    if reader not in READER_VERSIONS or writer not in WRITER_VERSIONS:
        raise Unequal(versions)
    return versions


def newest_protocol(log):
    """Looks through the commits; once the one that set it is cleaned up, a checkpoint has it."""
    for commit in sorted(log.glob(f"{'[0-9]' * 20}.json"), reverse=True):
        for action in map(json.loads, commit.read_text().splitlines()):
            if "protocol" in action:
                return action["protocol"]
    return checkpointed_protocol(log)


def checkpointed_protocol(log):
    checkpoints = sorted(log.glob("*.checkpoint*.parquet"))
    if not checkpoints:
        raise Unequal(f"no commit and no checkpoint with a protocol in {log}")
    version = checkpoints[-1].name.split(".")[0]
    actions = duckdb.read_parquet(str(log / f"{version}.checkpoint*.parquet"))
    return actions.filter("protocol is not null").select("protocol").fetchone()[0]


def compare(clickwatch, lake, readers, scratch):
    tally = Tally()
    for table in clickwatch.tables():
        table_path = lake.joinpath(*table.split(".", 1))
        export_path = scratch / f"{table}.parquet"
        tally.check(table, "protocol", check_protocol, table_path)
        try:
            clickwatch.export(table, export_path)
        except ClickwatchError as error:
            tally.fail(table, "clickwatch", error)
            continue
        for reader in readers:
            tally.check(table, reader.name, check_rows, reader, table_path, export_path)
        export_path.unlink()
    return tally


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clickwatch_binary", type=Path)
    parser.add_argument("project_dir", type=Path)
    parser.add_argument("lake_dir", type=Path)
    parser.add_argument("jars_dir", type=Path)
    parser.add_argument("--duckdb-only", action="store_true", help="leave Spark out")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    lake = arguments.lake_dir.resolve()
    clickwatch = Clickwatch(arguments.clickwatch_binary, arguments.project_dir, lake)
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        scratch = Path(folder)
        readers = [DuckDB(scratch)]
        if not arguments.duckdb_only:
            readers.append(Spark(arguments.jars_dir, scratch))
        try:
            tally = compare(clickwatch, lake, readers, scratch)
        except ClickwatchError as error:
            sys.exit(f"compare.py: {error}")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
