#!/usr/bin/env python3
"""Stands in for clickwatch in selftest.py: the two commands that compare.py calls, and no more.

It serves the Delta tables under --project and never looks at --lake, so that selftest.py can put
something else in front of compare.py than what the other readers find in the lake.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import duckdb
from deltalake import DeltaTable, QueryBuilder


def list_tables(arguments):
    tables = arguments.project.glob("*/*/_delta_log")
    print(json.dumps([{"table": ".".join(log.parts[-3:-1])} for log in tables]))


def query(arguments):
    engine = QueryBuilder()
    table = arguments.sql.split()[-1]
    engine.register("served", DeltaTable(arguments.project.joinpath(*table.split("."))))
    batches = engine.execute(arguments.sql.replace(table, "served"))
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        duckdb.from_arrow(batches).write_parquet(file.name)
        sys.stdout.buffer.write(Path(file.name).read_bytes())


def parse_arguments():
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--project", type=Path, required=True)
    shared.add_argument("--lake", type=Path, required=True)
    shared.add_argument("--format", required=True)

    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    tables = commands.add_parser("tables").add_subparsers(required=True)
    tables.add_parser("list", parents=[shared]).set_defaults(run=list_tables)
    sql = commands.add_parser("sql", parents=[shared])
    sql.add_argument("sql")
    sql.set_defaults(run=query)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    arguments.run(arguments)
