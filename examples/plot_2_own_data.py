"""
Your own DataFrame
==================

A table of orders, as a shop would export it: ids with leading zeros, quantities, dates, duplicate
rows, orders of guests, missing values. From the CSV file to a top-10 list, its evaluation, and new
customers and products.
"""

# %%
# The files
# ---------
# We simulate a shop, so that the example needs no files: each customer has a favorite department,
# and some products sell better than others. With your own data, start at ``pd.read_csv``.
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
departments = ["garden", "kitchen", "books", "sports"]
products = pd.DataFrame(
    {
        "sku": [f"{number:05}" for number in range(120)],
        "department": np.repeat(departments, 30),
        "price": rng.lognormal(3, 0.6, 120).round(2),
        "description": [f"{departments[n // 30]} article no {n}" for n in range(120)],
    }
)
products.loc[::20, "price"] = np.nan
customers = rng.permutation(np.repeat(np.arange(400), rng.integers(2, 15, 400)))
sells_well = rng.exponential(size=120)


def buy(customer):
    liked = products["department"] == departments[customer % 4]
    chances = sells_well * np.where(liked, 8, 1)
    return rng.choice(products["sku"], p=chances / chances.sum())


orders = pd.DataFrame(
    {
        "date": pd.date_range("2025-01-01", periods=len(customers), freq="h"),
        "customer": [f"{customer:04}" for customer in customers],
        "sku": [buy(customer) for customer in customers],
        "quantity": rng.integers(1, 4, len(customers)),
        "coupon": np.where(rng.random(len(customers)) < 0.1, "SUMMER", None),
    }
)
orders.loc[::200, "customer"] = None
folder = Path((temporary := TemporaryDirectory()).name)
pd.concat([orders, orders[-20:]]).to_csv(folder / "orders.csv", index=False)
pd.concat([products, products[:1]]).to_csv(folder / "products.csv", index=False)

# %%
# Read them
# ---------
# Read ids that look like numbers as strings, in *both* files, so that 00042 keeps its zeros. Parse
# the dates of the orders. Drop duplicate products, and orders without a customer; missing values in
# other columns may stay.
ids = {"customer": str, "sku": str}
orders = pd.read_csv(folder / "orders.csv", dtype=ids, parse_dates=["date"])
products = pd.read_csv(folder / "products.csv", dtype=ids)

orders = orders.drop_duplicates().dropna(subset=["customer", "sku"])
products = products.drop_duplicates("sku")
orders.head(3)

# %%
# From table to recommendations
# -----------------------------
# Name the columns; other columns are ignored. Each row counts as one interaction. To weight rows,
# pass their strengths as ``y``: ``model.fit(orders, orders["quantity"])``. Try both: a customer who
# buys ten screws does not like them ten times as much.
from sklearn_selreg import SelectiveLLMRegularizedMF

columns = {"user_col": "customer", "item_col": "sku", "time_col": "date"}
model = SelectiveLLMRegularizedMF(factors=16, item_data=products, random_state=0, **columns)
model.fit(orders)
items, scores = model.recommend(["0001", "0002"], n_items=10)
pd.DataFrame(items, index=["0001", "0002"])

# %%
# Ids are returned in their original form, and products that a customer has bought are excluded
# (``filter_seen=False`` includes them). Recommendations for customer 0001, whose favorite
# department is the kitchen:
products.set_index("sku").loc[items[0], ["department", "price"]]

# %%
# How the product columns were interpreted; identifiers and unparsed dates are left out:
model.item_encoder_.column_kinds_

# %%
# Is it any good?
# ---------------
# Hold out the latest fifth of the orders, fit on the earlier ones, and rank all products. Since
# recommendations are new to a customer, repeat purchases are not evaluated. The report has one row
# per kind of customer and product. Ranking by popularity is the baseline to beat.
from sklearn.base import clone

from sklearn_selreg.metrics import compare_reports, ranking_report

cut = orders["date"].quantile(0.8)
train, later = orders[orders["date"] <= cut], orders[orders["date"] > cut]
pair = ["customer", "sku"]
bought = pd.MultiIndex.from_frame(train[pair])
held_out = later[~pd.MultiIndex.from_frame(later[pair]).isin(bought)]

report = ranking_report(clone(model).fit(train), held_out, train=train)
popularity = ranking_report(
    "popularity",
    held_out,
    train=train,
    items=model.items_,
    user_col="customer",
    item_col="sku",
)
both = pd.concat({"model": report, "popularity": popularity}, axis=1).swaplevel(axis=1)
both[["NDCG@10", "AUC"]].round(3)

# %%
# Is the difference more than chance? With its 95 % interval:
compare_reports(report, popularity)["AUC"].round(3)

# %%
import matplotlib.pyplot as plt

_, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
both["AUC"].dropna().plot.barh(ax=axes)
axes.invert_yaxis()
axes.set_xlim(0, 1)
_ = axes.set_xlabel("AUC")

# %%
# New customers, new products
# ---------------------------
# A new customer's first orders are folded in without refitting. They need a date as well, because
# popularity depends on time. Unknown customers get the recommendations of the mean customer.
new = pd.DataFrame({"customer": ["9000"] * 2, "sku": ["00031", "00040"]})
model.fold_in(new.assign(date=orders["date"].max()))
items, _ = model.recommend(["9000", "a stranger"], n_items=5)
pd.DataFrame(items, index=["9000", "a stranger"])

# %%
# Products without orders only need to be listed in `item_data` when fitting; they are placed by
# their features.
novelty = pd.DataFrame({"sku": ["90000"], "department": ["kitchen"], "price": [20.0]})
model.set_params(item_data=pd.concat([products, novelty])).fit(orders)
pairs = pd.DataFrame({"customer": ["0001", "0002"], "sku": ["90000", "90000"]})
pairs.assign(likes=["kitchen", "books"], score=model.predict(pairs).round(3))

# %%
# To choose settings for your data, continue with :doc:`/parameters`.
temporary.cleanup()
