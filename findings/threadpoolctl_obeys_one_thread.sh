#!/usr/bin/env bash
# threadpoolctl 3.8.0: while one thread holds a limit of OpenBLAS, limits set in others have no effect.
#
# There is no error or warning: `limit(limits=1, user_api="blas")` in a second thread leaves the number
# unchanged. With 3.6.0, the last limit wins. Fitting models in several threads that each limit BLAS
# during their loops (as implicit recommends) therefore uses other numbers of threads, with other last
# bits, than a single fit. We set one limit for the process, count
# its users, and release the tie to the thread immediately (`clear_controlling_thread`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PY'
import sys
import threading
from importlib.metadata import version

import numpy  # noqa: F401  brings OpenBLAS
from threadpoolctl import ThreadpoolController

pools = ThreadpoolController()


def n_threads():
    return {pool["num_threads"] for pool in pools.info() if pool["user_api"] == "blas"}


def try_limit(found):
    with pools.limit(limits=1, user_api="blas"):
        found.append(n_threads())


found = []
with pools.limit(limits=2, user_api="blas"):  # in this thread, while another one starts and ends
    other = threading.Thread(target=try_limit, args=(found,))
    other.start()
    other.join()
expected = set(map(int, sys.argv[1]))
print("threadpoolctl", version("threadpoolctl"), "limit 1 in a second thread gives", found[0])
assert found == [expected], found
PY
for pinned in 3.8.0:2 3.6.0:1; do
    python3 -m venv "$folder/${pinned%:*}"
    "$folder/${pinned%:*}/bin/pip" install --quiet "threadpoolctl==${pinned%:*}" numpy==2.4.6 >/dev/null 2>&1
    "$folder/${pinned%:*}/bin/python" "$folder/try.py" "${pinned#*:}"
done
