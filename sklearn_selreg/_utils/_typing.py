"""Types shared by signatures of several modules."""

from typing import Any, TypeAlias

# A DataFrame of pandas, polars or another library, an array, a list of rows or a sparse matrix.
Table: TypeAlias = Any
# Name or position of a column of a table.
Column: TypeAlias = int | str
