"""Types that the signatures of several modules share."""

from typing import Any, TypeAlias

# A DataFrame of pandas, polars or another library, an array, a list of rows or a sparse matrix.
Table: TypeAlias = Any
# Names a column of a table, or gives its position.
Column: TypeAlias = int | str
