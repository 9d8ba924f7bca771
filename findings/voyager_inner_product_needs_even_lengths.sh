#!/usr/bin/env bash
# voyager 2.2.3: with Space.InnerProduct, recall is below a fifth if a few vectors are much longer.
#
# Norms of item factors grow with popularity, so that few vectors are several times as long as most. On
# 20,000 such vectors, voyager has a recall@10 of .17 by default and of .87 with query_ef 512; hnswlib
# 0.8.0, which is similar, has .85 by default and .98 with ef 128, by inner product on the same vectors.
# (voyager extends all vectors to the norm of the longest one with a further column, which then
# outweighs the others.) With similar norms, both have the same recall. There is no warning, and the
# distances do not show it: compare with an exact search.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PY'
from importlib.metadata import version

import hnswlib
import numpy as np
import voyager

N, WIDTH, K = 20_000, 64, 10
rng = np.random.default_rng(0)
spectrum = np.arange(1, WIDTH + 1) ** -0.5
tastes = rng.normal(size=(300, WIDTH)) * spectrum


def draw(n):
    return tastes[rng.integers(300, size=n)] + 0.7 * rng.normal(size=(n, WIDTH)) * spectrum


directions = draw(N)
popularity = rng.zipf(1.7, N).clip(max=10_000)
lengths = 0.1 + np.log1p(popularity) / 10
queries = draw(500).astype(np.float32)


def recall(found, exact):
    return float(np.mean([len(np.intersect1d(*both)) for both in zip(found, exact)])) / K


def compare(items):
    items = items.astype(np.float32)
    exact = np.argsort(-queries @ items.T, axis=1)[:, :K]
    one = voyager.Index(voyager.Space.InnerProduct, WIDTH)
    one.add_items(items, num_threads=1)
    other = hnswlib.Index("ip", WIDTH)
    other.init_index(N)
    other.set_num_threads(1)
    other.add_items(items)
    figures = [
        recall(one.query(queries, K)[0], exact),
        recall(one.query(queries, K, query_ef=512)[0], exact),
        recall(other.knn_query(queries, K)[0], exact),
    ]
    other.set_ef(128)
    return [*figures, recall(other.knn_query(queries, K)[0], exact)]


print("recall@10 of voyager", version("voyager"), "by default, with query_ef 512; hnswlib",
      version("hnswlib"), "by default, with ef 128")
few_long = compare(directions * lengths[:, None])
alike = compare(directions / np.linalg.norm(directions, axis=1, keepdims=True))
print("  few long vectors:", *(f"{figure:.3f}" for figure in few_long))
print("  all of length 1: ", *(f"{figure:.3f}" for figure in alike))
assert few_long[0] < 0.5 and few_long[1] < 0.97 and few_long[2] > 0.75 and few_long[3] > 0.97
assert alike[1] > 0.97
PY
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet voyager==2.2.3 hnswlib==0.8.0 numpy==2.4.6 >/dev/null 2>&1
"$folder/env/bin/python" "$folder/try.py"
