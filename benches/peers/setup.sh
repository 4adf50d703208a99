#!/usr/bin/env bash
# Prepares what run.py needs: DIR/peers (DuckDB, Polars and deltalake for Python) and DIR/readers (Spark
# with Delta, and a DuckDB for which there is a delta extension).
#
#   benches/peers/setup.sh DIR
#
# Needs Python 3.10 or newer with venv, and for Spark Java 17 or newer and Maven; downloads from PyPI and
# Maven Central only. A second call does nothing until a pinned version changes.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: setup.sh DIR" >&2; exit 1; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp=$dir/peers.sha256
wanted=$(sha256sum <"$here/requirements.txt")

if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    rm -rf "$stamp" "$dir/peers"
    python3 -m venv "$dir/peers"
    "$dir/peers/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    echo "$wanted" >"$stamp"
fi
"$here/../../tests/interop/setup.sh" "$dir/readers"
