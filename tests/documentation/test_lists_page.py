"""The table of new items in lists matches the measurements."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_new_items_is_as_measured():
    page = (ROOT / "docs/lists.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks/results/new_items.json").read_text(encoding="utf-8"))
    text = " ".join(page.split())
    assert f"{found['catalog']:.0%} of the catalog is new" in text
    assert f"{found['held-out likes']:.1%} of the held-out likes of {found['users']} users" in text
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    for name, shelves in found["models"].items():
        start = next(n for n, row in enumerate(rows) if row[0].strip() == name)
        for shelf, row in zip(shelves, rows[start:], strict=False):
            _, min_new, places, users, ndcg, cost, of_new = (cell.strip() for cell in row)
            assert int(min_new) == shelf["min_new"]
            assert (places, users) == (f"{shelf['places']:.0%}", f"{shelf['users']:.0%}")
            assert ndcg == f"{shelf['NDCG@10 overall']:.4f}"
            assert of_new == f"{shelf['NDCG@10 new']:.4f}"
            value, low, high = (-part for part in shelf["NDCG@10 overall difference"])
            assert cost == (f"{value:.4f} ({high:.4f} to {low:.4f})" if shelf["min_new"] else "")
