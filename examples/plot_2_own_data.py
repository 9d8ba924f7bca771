"""
Your own DataFrame
==================

A table of orders, as a shop would export it: ids that are strings, quantities, dates, columns that
are of no use here, and missing values in them. From the CSV file to a top-10 list, and to people
and goods that nobody has seen before.
"""

# %%
# The table
# ---------
# We make up a shop, so that the example needs no file of yours: customers have a favorite
# department, and some goods sell better than others. With your data, start at ``pd.read_csv``.
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
departments = ["garden", "kitchen", "books", "sports"]
products = pd.DataFrame(
    {
        "sku": [f"P{number:03}" for number in range(120)],
        "department": np.repeat(departments, 30),
        "price": rng.lognormal(3, 0.6, 120).round(2),
        "description": [f"{departments[n // 30]} article no {n}" for n in range(120)],
    }
)
customers = rng.permutation(np.repeat(np.arange(400), rng.integers(2, 15, 400)))
sells_well = rng.exponential(size=120)


def buy(customer):
    liked = products["department"] == departments[customer % 4]
    chances = sells_well * np.where(liked, 8, 1)
    return rng.choice(products["sku"], p=chances / chances.sum())


orders = pd.DataFrame(
    {
        "date": pd.date_range("2025-01-01", periods=len(customers), freq="h"),
        "customer": [f"C{customer:03}" for customer in customers],
        "sku": [buy(customer) for customer in customers],
        "quantity": rng.integers(1, 4, len(customers)),
        "coupon": np.where(rng.random(len(customers)) < 0.1, "SUMMER", None),
    }
)
folder = TemporaryDirectory()
orders.to_csv(Path(folder.name) / "orders.csv", index=False)

# %%
# From file to recommendations
# ----------------------------
# Name the columns; all others may hold anything. `y` says how strong an interaction is: here, how
# many were bought. It can be left out.
from sklearn_selreg import SelectiveLLMRegularizedMF

orders = pd.read_csv(Path(folder.name) / "orders.csv", parse_dates=["date"])
model = SelectiveLLMRegularizedMF(
    factors=16,
    item_data=products,
    user_col="customer",
    item_col="sku",
    time_col="date",
    random_state=0,
)
model.fit(orders, orders["quantity"])
items, scores = model.recommend(["C001", "C002"], n_items=10)
pd.DataFrame(items, index=["C001", "C002"])

# %%
# Ids come back as they were given, and what a customer has bought is left out
# (``filter_seen=False`` keeps it). What was recommended to customer C001, who likes the kitchen:
products.set_index("sku").loc[items[0], ["department", "price"]]

# %%
# Is it any good?
# ---------------
# Hold out everybody's last order, fit on what was before, and rank all goods. The report is by kind
# of customer and product. A ranking by popularity is what any recommender has to beat.
from sklearn.base import clone

from sklearn_selreg.metrics import ranking_report

last = ~orders.duplicated("customer", keep="last")
train, held_out = orders[~last], orders[last]
columns = {"user_col": "customer", "item_col": "sku"}
report = ranking_report(clone(model).fit(train, train["quantity"]), held_out, train=train)
bought = train["sku"].value_counts().reindex(products["sku"], fill_value=0).to_numpy(float)
by_popularity = ranking_report(
    lambda users: np.tile(bought, (len(users), 1)),
    held_out,
    train=train,
    items=products["sku"],
    **columns,
)
both = pd.concat({"model": report, "popularity": by_popularity}, axis=1).swaplevel(axis=1)
both[["NDCG@10", "AUC"]].round(3)

# %%
import matplotlib.pyplot as plt

_, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
both["AUC"].dropna().plot.barh(ax=axes)
axes.invert_yaxis()
axes.set_xlim(0, 1)
_ = axes.set_xlabel("AUC")

# %%
# New customers, new goods
# ------------------------
# A new customer's first orders are folded in; nothing is fitted again. Customers nobody knows are
# recommended what the mean customer is.
new = pd.DataFrame({"customer": ["C900"] * 2, "sku": ["P031", "P040"]})
model.fold_in(new.assign(date=orders["date"].max()))
items, _ = model.recommend(["C900", "a stranger"], n_items=5)
pd.DataFrame(items, index=["C900", "a stranger"])

# %%
# Goods without any order need only be listed in `item_data` when fitting: what they are places
# them.
novelty = pd.DataFrame({"sku": ["P900"], "department": ["kitchen"], "price": [20.0]})
model.set_params(item_data=pd.concat([products, novelty])).fit(orders, orders["quantity"])
pairs = pd.DataFrame({"customer": ["C001", "C002"], "sku": ["P900", "P900"]})
pairs.assign(likes=["kitchen", "books"], score=model.predict(pairs).round(3))
