#!/usr/bin/env bash
# Prepares what compare.py and selftest.py need: DIR/venv (Python) and DIR/jars (Delta for Spark).
#
#   tests/interop/setup.sh DIR
#
# DIR lies outside the checkout. Needs Python 3.10 or newer with venv, Java 17 or newer, and Maven;
# downloads from PyPI and Maven Central only. A second call does nothing until a pinned version changes.
set -euo pipefail

fail() {
    echo "setup.sh: $*" >&2
    exit 1
}

[[ $# -eq 1 ]] || fail "usage: setup.sh DIR"
for tool in python3 java mvn; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp=$dir/installed.sha256
wanted=$(cd "$here" && cat requirements.txt pom.xml | sha256sum)

if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
    exit 0
fi

rm -rf "$stamp" "$dir/venv" "$dir/jars"
python3 -m venv "$dir/venv" || fail "cannot create $dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" \
    || fail "pip could not install requirements.txt"
mvn --batch-mode --quiet --file "$here/pom.xml" package "-DjarsDirectory=$dir/jars" \
    || fail "Maven could not fetch the jars of pom.xml"
echo "$wanted" >"$stamp"
