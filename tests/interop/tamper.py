"""Shows that `clickwatch verify` notices what another Delta writer did to a table, and mends it.

A lake is filled from the project's sample. Then one row is deleted from a Gold table in one file and
from one that is partitioned, with the `deltalake` package of PyPI. verify must name table and day and
end with code 4; queries must still see the published epoch; `verify --repair` must bring the row back.

    setup.sh DIR
    DIR/venv/bin/python tamper.py CLICKWATCH_BINARY PROJECT_DIR

Prints a line per check and ends with `N passed, M failed`; exits with 1 if any failed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from deltalake import DeltaTable

TABLES = ("gold.conversions", "gold.user_page_engagement")


class Lake:
    def __init__(self, binary, project, root):
        self.binary = binary
        self.root = root
        self.options = ["--project", project, "--lake", str(root)]

    def run(self, *arguments):
        command = [self.binary, *arguments, *self.options]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    def must(self, *arguments):
        done = self.run(*arguments)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)} failed: {done.stderr}")
        return done.stdout

    def rows(self, table, *arguments):
        query = f"SELECT * FROM {table}"
        rows = json.loads(self.must("sql", query, "--format", "json", *arguments))
        return sorted(json.dumps(row, sort_keys=True) for row in rows)

    def delete_one(self, table):
        """Deletes the first row of the table, and gives its day."""
        row = json.loads(self.must("sql", f"SELECT * FROM {table} LIMIT 1", "--format", "json"))[0]
        keys = {name: value for name, value in row.items() if isinstance(value, str)}
        predicate = " AND ".join(f"{name} = '{value}'" for name, value in keys.items())
        delta = DeltaTable(str(self.root / table.replace(".", "/")))
        deleted = delta.delete(predicate)["num_deleted_rows"]
        if deleted != 1:
            sys.exit(f"{deleted} rows of {table} were deleted where it should have been one")
        return row["session_date"]


def checks(lake):
    """Yields what is checked, and whether it holds."""
    lake.must("run")
    before = {table: lake.rows(table) for table in TABLES}
    clean = lake.run("verify")
    tables = clean.stdout.count("equals its rebuild")
    yield "verify passes before", clean.returncode == 0 and tables > len(TABLES)
    for table in TABLES:
        day = lake.delete_one(table)
        found = lake.run("verify")
        yield f"{table}: verify ends with 4", found.returncode == 4
        yield f"{table}: verify names {day}", f"{table}: session_date={day}: " in found.stdout
        yield f"{table}: the others are clean", found.stdout.count("equals its rebuild") == tables - 1
        yield f"{table}: queries keep to the epoch", lake.rows(table) == before[table]
        yield f"{table}: one row is gone", len(lake.rows(table, "--latest")) == len(before[table]) - 1
        yield f"{table}: repair succeeds", lake.run("verify", "--repair").returncode == 0
        yield f"{table}: the row is back", lake.rows(table, "--latest") == before[table]
        yield f"{table}: and published", lake.rows(table) == before[table]
    yield "verify passes afterwards", lake.run("verify").returncode == 0
    yield "a run finds nothing to do", "nothing new" in lake.must("run")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for what, holds in checks(Lake(sys.argv[1], sys.argv[2], Path(directory) / "lake")):
            print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
            passed, failed = passed + holds, failed + (not holds)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
