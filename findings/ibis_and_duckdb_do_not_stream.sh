#!/usr/bin/env bash
# ibis 12.0.0 with duckdb 2.0.1, the versions installed by "pip install ibis-framework[duckdb]": whole
# tables can be read from ibis, but batches cannot, and in-memory tables cannot be stored.
#
# `to_pyarrow_batches` raises "AttributeError: ... 'fetch_record_batch'", and `create_table(name,
# table)` with a pyarrow Table raises "Parser Error: syntax error at or near "EXISTS"" (from a DROP
# VIEW IF EXISTS statement without a name). `to_pyarrow` and `memtable` work. We therefore read ibis
# queries with `to_pyarrow` (like narwhals), never in batches, and the example in our documentation
# uses a memtable.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "ibis-framework[duckdb]==12.0.0" duckdb==2.0.1 >/dev/null 2>&1
"$folder/env/bin/python" -W ignore - <<'PY'
import duckdb
import ibis
import pyarrow as pa

plays = pa.table({"user": ["ann", "bob"], "item": [1, 2]})


def outcome(read):
    try:
        return f"{read()} rows"
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def create():
    return ibis.duckdb.connect().create_table("plays", plays).count().to_pyarrow()


print("ibis", ibis.__version__, "duckdb", duckdb.__version__)
found = {
    "to_pyarrow": outcome(lambda: ibis.memtable(plays).to_pyarrow().num_rows),
    "to_pyarrow_batches": outcome(
        lambda: ibis.memtable(plays).to_pyarrow_batches().read_all().num_rows
    ),
    "create_table": outcome(create),
}
for name, result in found.items():
    print(f"{name}: {result}")
assert found["to_pyarrow"] == "2 rows", found
assert "has no attribute 'fetch_record_batch'" in found["to_pyarrow_batches"], found
assert 'syntax error at or near "EXISTS"' in found["create_table"], found
PY
echo "Reproduced."
