"""Item data: the table of what is known about items, as features and as text.

:func:`read_item_data` turns what users have (data frame, series, dict) into an :class:`ItemTable`;
:func:`encode_items` makes features of it for the factorization, with :class:`AutoItemEncoder` or
any scikit-learn transformer; :func:`item_texts` makes the texts a judge reads.
"""

import datetime
import math
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import joblib
import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ._docs import DocLinkMixin
from ._interactions import READ_AS_INTEGERS, encode
from ._params import check_integer, how_to_read, name_kind
from ._plain import (
    PlainNumbers,
    as_vectors,
    check_finite_numbers,
    flat_entries,
    is_dense,
    is_number,
    read_number,
    read_vectors,
    why_no_vectors,
)
from ._warn import warn

# Numbers with at most this many distinct values are categories.
_FEW_VALUES = 10
# In smaller tables, short distinct texts and sorted integers are not taken for identifiers.
_MIN_ROWS_OF_IDENTIFIERS = 20
# More columns of numbers and flags than this are taken as they are, as one block.
_MANY_NUMBERS = 30
_COLUMN_KINDS = "list", "category", "number", "text"  # those that each column has for itself
_ENTRIES_PER_CHUNK, _ROWS_PER_CHUNK = 2**22, 2**14
# Numbers with something between thousands, and with a currency or a percent sign.
_WRITTEN_NUMBER = (
    r"\s*[-+]?(?:[A-Z]{{0,3}}[$€£¥]|[A-Z]{{3}}(?=\s))?\s?[-+]?"
    r"(?:\d{{1,3}}(?:{thousands}\d{{3}})+|\d+)(?:{decimal}\d+)?(?:\s?[$€£¥%]|\s[A-Z]{{3}})?\s*"
)
_WITH_POINT = _WRITTEN_NUMBER.format(thousands=",", decimal=r"\.")
_WITH_COMMA = _WRITTEN_NUMBER.format(thousands=r"\.", decimal=",")
# Lists of numbers with decimals, as to_csv writes lists and arrays.
_WRITTEN_VECTOR = r"(?s)\s*[\[(](?=.*[.e])[-+.,\d\se]+[\])]\s*"
# Without any of these, numbers may be codes or lists of them.
_SIGNS_OF_POINT, _SIGNS_OF_COMMA = r"[.,$€£¥%A-Z]", r"\..*,|[$€£¥%A-Z]"
# Text is a category if values that repeat fill at least this share of the rows.
_CATEGORY_SHARE = 0.25
# Text is a list if its separator is in at least this share of the values, ...
_LIST_SHARE = 0.2
# ... and if entries that repeat make up at least this share of the text (prose has commas, too).
_SHARED_ENTRIES = {"|": 0.2, ";": 0.2, ",": 0.5}
# Joins the entries of columns that hold Python lists (the "unit separator" of ASCII).
_UNIT_SEPARATOR = "\x1f"
# Words of a text must occur in this share of the rows: rarer ones name items, not kinds of items.
_TEXT_SHARE = 0.02
_TOKEN = re.compile(r"\w+|[^\w\s]")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])")


@dataclass(frozen=True)
class ItemTable:
    """What is known about items.

    Attributes
    ----------
    ids : ndarray of shape (n,)
        Raw item ids: distinct, none missing.
    frame : pandas.DataFrame of shape (n, n_columns)
        The items' columns, without the ids, on a ``RangeIndex``; at least one column.
    """

    ids: np.ndarray
    frame: pd.DataFrame


def read_item_data(item_data, item_name=None):
    """Read item data into a table.

    Parameters
    ----------
    item_data : DataFrame, pandas.Series or dict
        - pandas DataFrame: ids in the column `item_name` if there is one, else in the index;
        - polars DataFrame (or another eager one narwhals reads): ids in the column `item_name`;
        - Series: ids in the index; without a name, its column is called ``"text"``;
        - dict: id -> value (column ``"text"``), or id -> dict of columns.
    item_name : hashable, default=None
        Name of the id column.

    Returns
    -------
    ItemTable
        Items in the order of `item_data`.

    Raises
    ------
    TypeError
        If `item_data` is of another type.
    ValueError
        If there is no item, no id column, no other column, a missing or infinite id, an id or a
        column name that occurs twice, or a dict that mixes values and dicts of columns.

    Examples
    --------
    >>> from sklearn_selreg._items import read_item_data
    >>> read_item_data({7: "Heat", 3: "Casino"}).frame["text"].tolist()
    ['Heat', 'Casino']
    """
    if isinstance(item_data, pd.Series):
        name = "text" if item_data.name is None else item_data.name
        ids, frame = item_data.index, item_data.to_frame(name)
    elif isinstance(item_data, dict):
        ids, frame = pd.Index(list(item_data), tupleize_cols=False), _dict_to_frame(item_data)
    elif isinstance(item_data, pd.DataFrame):
        _check_column_names(item_data)
        if item_name is not None and item_name in item_data.columns:
            ids, frame = item_data[item_name], item_data.drop(columns=[item_name])
        else:
            ids, frame = item_data.index, item_data
    else:
        frame = _eager_to_pandas(item_data, "item_data")
        if item_name is None or item_name not in frame.columns:
            raise ValueError(
                f"item_data is a {type(item_data).__name__} without index, so it needs a column of "
                f"item ids named {item_name!r}; got the columns {list(frame.columns)}."
            )
        ids, frame = frame[item_name], frame.drop(columns=[item_name])
    if isinstance(ids, pd.MultiIndex):
        raise ValueError(
            "The index of item_data must have one level, the item ids; got "
            f"{ids.nlevels} levels: {list(ids.names)}."
        )
    _check_ids(pd.Index(ids, tupleize_cols=False))
    if frame.shape[1] == 0:
        raise ValueError("item_data must have a column beside the item ids; got none.")
    return ItemTable(ids=ids.to_numpy(), frame=flat_entries(frame.reset_index(drop=True)))


def warn_of_better_ids(table, items, item_name):
    """Warn if a column of the table, rather than its ids, holds the ids of items.

    So it is if the ids were taken from an index that only numbers the rows.

    Parameters
    ----------
    table : ItemTable
    items : ndarray of shape (n_items,)
        Raw ids of items with interactions.
    item_name : hashable
        Name of the column with the item ids in the interactions.

    Warns
    -----
    DataWarning
        If a column of distinct values holds more of `items` than `table.ids` does.
    """
    n_known = np.sum(encode(table.ids, items) >= 0)
    if n_known == len(items):
        return
    for name in table.frame:
        column = table.frame[name]
        try:
            n_found = column.isin(items).sum() if column.is_unique else 0
        except TypeError:  # values that do not hash are no ids
            continue
        if n_found > n_known:
            warn(
                f"The ids of item_data were taken from its index, and hold {n_known} of the "
                f"{len(items)} items of X; its column {name!r} holds {n_found}. If that is the id, "
                f"rename it to {item_name!r}, or pass item_data.set_index({name!r})."
            )
            return


def encode_items(encoder, table, items):
    """Make features of items.

    Parameters
    ----------
    encoder : "auto" or transformer
        ``"auto"`` is ``AutoItemEncoder()``. A transformer is cloned, then fitted on all of
        ``table.frame``.
    table : ItemTable
        What is known about items.
    items : ndarray of shape (n_items,)
        Raw ids of the items wanted.

    Returns
    -------
    features : csr_matrix of shape (n_items, n_features), float32
        One row per item of `items`, in that order; zeros for items the table does not have.
    encoder : transformer
        The fitted encoder.

    Raises
    ------
    TypeError
        If `encoder` is neither ``"auto"`` nor an instance of a transformer.
    ValueError
        If the encoder's output is not a finite numeric matrix with one row per row of the table and
        at least one column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg._items import encode_items, read_item_data
    >>> table = read_item_data({7: "crime", 3: "comedy", 5: "crime", 4: "comedy"})
    >>> features, encoder = encode_items("auto", table, np.array([3, 7, 99]))
    >>> encoder.get_feature_names_out()
    array(['text=comedy', 'text=crime'], dtype=object)
    >>> features.toarray()
    array([[1., 0.],
           [0., 1.],
           [0., 0.]], dtype=float32)
    """
    if isinstance(encoder, str) and encoder == "auto":
        encoder = AutoItemEncoder()
    elif isinstance(encoder, type) or not (
        hasattr(encoder, "fit") and hasattr(encoder, "transform")
    ):
        raise TypeError(
            "item_encoder must be 'auto', None or an instance of a scikit-learn transformer; "
            f"got {encoder!r}."
        )
    encoder = clone(encoder)
    # A global `transform_output` is for what users see: dense frames, which features are not.
    with config_context(transform_output="default"):
        rows = encoder.fit_transform(table.frame)
    rows = _check_features(rows, len(table.ids), encoder)
    _warn_of_unread_columns(encoder)
    position = encode(table.ids, items)
    if is_dense(rows) and np.array_equal(position, np.arange(len(table.ids))):
        return rows, encoder  # they are large, and need no copy
    known = np.flatnonzero(position >= 0)
    pick = sparse.csr_matrix(
        (np.ones(known.size, dtype=np.float32), (known, position[known])),
        shape=(len(position), len(table.ids)),
    )
    return pick @ rows, encoder


def _warn_of_unread_columns(encoder):
    """Warn of columns that hold something, of a type that AutoItemEncoder does not read."""
    dropped = getattr(encoder, "dropped_", {})
    holding = ("values of", "vectors", "lists")
    unread = {n: why for n, why in dropped.items() if why.startswith(holding)}
    if unread:
        told = ", ".join(f"{name!r} ({why})" for name, why in unread.items())
        warn(
            f"Columns of item_data are left out of the features: {told}. Make numbers, texts or "
            "vectors of one length of them, or drop them."
        )


def transform_items(encoder, table, n_features):
    """Make features of new items by a fitted encoder, (n_items, n_features) csr float32.

    Raises
    ------
    ValueError
        If the encoder's output is none as in the fit.
    """
    with config_context(transform_output="default"):
        rows = encoder.transform(_in_order(table.frame, encoder))
    rows = _check_features(rows, len(table.ids), encoder)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"{type(encoder).__name__} made {rows.shape[1]} features of the new items, and "
            f"{n_features} in fit: item_data must have the columns it had there."
        )
    return rows


def _in_order(frame, encoder):
    """Return the columns in the order that an encoder was fitted on, if they are the same."""
    place = {str(name): place for place, name in enumerate(frame.columns)}
    fitted = list(getattr(encoder, "feature_names_in_", ()))
    return frame.iloc[:, [place[n] for n in fitted]] if set(fitted) == set(place) else frame


def feature_names(encoder, features):
    """Return the names of features, (n_features,) object; none without features.

    Of an encoder that does not tell its names they are ``"feature 0"`` and so on.
    """
    if features is None:
        return np.empty(0, dtype=object)
    try:
        names = encoder.get_feature_names_out()
    except (AttributeError, ValueError, NotImplementedError):
        names = [f"feature {n}" for n in range(features.shape[1])]
    return np.asarray(names, dtype=object)


def item_texts(table, columns=None):
    """Describe each item in one line of text, for a judge to read.

    Parameters
    ----------
    table : ItemTable
        What is known about items.
    columns : column name or list of column names, default=None
        What to tell, in this order. None: every column of text, lists, flags, dates and whole
        numbers that has values, but for identifiers (see :class:`AutoItemEncoder`).

    Returns
    -------
    ndarray of shape (n,), object
        One str per row of the table such as ``"title: Heat; year: 1995"``. Missing values are left
        out; an item without any value has an empty text.

    Raises
    ------
    ValueError
        If `columns` is empty or names a column that the table does not have.

    Examples
    --------
    >>> from sklearn_selreg._items import item_texts, read_item_data
    >>> table = read_item_data({7: {"title": "Heat", "year": 1995}, 3: {"title": "Casino"}})
    >>> item_texts(table).tolist()
    ['title: Heat; year: 1995', 'title: Casino']
    """
    frame = table.frame
    if columns is None:
        columns = [name for name in frame.columns if _is_readable(frame[name])]
    else:
        columns = [columns] if pd.api.types.is_scalar(columns) else list(columns)
        missing = [name for name in columns if name not in frame.columns]
        if missing or not columns:
            raise ValueError(
                f"item_text must name columns of item_data, which has {list(frame.columns)}; "
                + (f"not among them: {missing}." if missing else "got an empty list.")
            )
    texts = pd.Series("", index=frame.index, dtype=object)
    for name in columns:
        values = _strings(frame[name]).str.replace(r"\s+", " ", regex=True).str.strip()
        texts += (f"{name}: " + values + "; ").fillna("")
    return texts.str.removesuffix("; ").to_numpy(dtype=object)


class AutoItemEncoder(DocLinkMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Encode a table of item data as sparse features, choosing an encoding for each column.

    Each column becomes a block of features according to its kind:

    - ``"list"``: text such as ``"Comedy|Drama"``, in which ``|``, ``;`` or ``,`` separates entries
      that many rows share, and columns of Python lists: one 0/1 feature per frequent entry.
    - ``"category"``: text whose values repeat (categoricals are read as text), booleans, and
      numbers or dates with at most 10 distinct values: one 0/1 feature per frequent value, one for
      all others, and one for missing values.
    - ``"number"``: other numbers, and dates as decimal years: a piecewise linear spline, which is
      one hat function per knot; where the value is missing, zeros and a 0/1 feature for that.
    - ``"text"``: TF-IDF of words, numbers and punctuation marks (which tell sequels and subtitles)
      that occur in at least 0.5 % of the rows, together with two facts about the text's form: how
      long it is and whether it has digits.
    - ``"vector"``: lists or arrays of numbers, all of one length, such as embeddings: each
      coordinate standardized, all together one block; where the vector is missing, zeros and a 0/1
      feature for that. (Lists of integers are entries, unless some are negative or all are 0 or 1.)
    - ``"plain number"`` and ``"plain flag"``: in tables with more than 30 columns of numbers and
      flags, or of dates, these: standardized, and 0 and 1 as they are, all together one block each;
      where a value is missing, 0 and a 0/1 feature for that.
    - ``"dropped"``: constant columns, columns without values, identifiers (in tables of more than
      20 rows: text without spaces that hardly ever repeats, such as links and hashes, and strictly
      increasing integers, such as row numbers), and values that are none of the above.

    Text such as "4.50", "1,023.50", "1.023,50", "US$ 20" or "3.5%", if all of a column is, is read
    as numbers.

    Each block is then divided by the root mean square of the Euclidean norms of its non-zero
    rows, so that under one ridge penalty every column of the table counts about alike. There is no
    intercept.

    Parameters
    ----------
    min_count : int, default=5
        Entries of lists, categories and words that occur in fewer rows get no feature of their own.
        In tables of fewer than ``10 * min_count`` rows it is a tenth of the rows.
    max_features : int, default=300
        At most this many features for a column of lists, categories or text: the most frequent.
    n_knots : int, default=19
        Knots of the spline of a number, at evenly spaced quantiles (fewer if quantiles coincide).

    Attributes
    ----------
    column_kinds_ : dict
        Column name -> kind, as above.
    dropped_ : dict
        Name of each dropped column -> reason.
    column_transformer_ : ColumnTransformer or None
        The fitted scikit-learn transformers, one per column. None: there are vectors and plain
        numbers alone.
    scale_ : ndarray of shape (n_features,)
        Each feature's factor, the same for all features of a column.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, as str. Not defined for arrays.

    See Also
    --------
    skrub.TableVectorizer : The same idea for tables in general.

    Notes
    -----
    Columns are looked at in `fit` alone; `transform` expects the same columns in the same order.
    Features are always a CSR matrix, whatever scikit-learn's global `transform_output` is.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_selreg import AutoItemEncoder
    >>> films = pd.DataFrame(
    ...     {
    ...         "title": ["Heat", "Toy Story", "Toy Story 2", "Casino"],
    ...         "genres": ["Crime|Drama", "Animation", "Animation|Comedy", "Crime|Drama"],
    ...     }
    ... )
    >>> encoder = AutoItemEncoder().fit(films)
    >>> encoder.column_kinds_
    {'title': 'text', 'genres': 'list'}
    >>> encoder.get_feature_names_out()[-4:]
    array(['genres=Animation', 'genres=Comedy', 'genres=Crime',
           'genres=Drama'], dtype=object)
    """

    def __init__(self, min_count=5, max_features=300, n_knots=19):
        self.min_count = min_count
        self.max_features = max_features
        self.n_knots = n_knots

    def fit(self, X, y=None):
        """Choose and fit an encoding for each column.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_items, n_columns)
            Item data.
        y : None
            Ignored.

        Returns
        -------
        AutoItemEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If a parameter is out of range, a number is infinite, or no column is usable; the
            message gives the reason for each column.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X, y=None):
        """Choose and fit an encoding for each column, and encode `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_items, n_columns)
            Item data.
        y : None
            Ignored.

        Returns
        -------
        csr_matrix of shape (n_items, n_features), float32
            The features.

        Raises
        ------
        ValueError
            For a parameter out of range, and if no column can be used.
        """
        for name, least in (("min_count", 1), ("max_features", 1), ("n_knots", 2)):
            check_integer(name, getattr(self, name), least)
        frame = self._read(X, reset=True)
        min_count = min(self.min_count, max(1, len(frame) // 10))
        kinds = _column_kinds(frame, min_count)
        self.column_kinds_ = {name: kind for name, (kind, _) in kinds.items()}
        self._with_comma = {
            name for name, (kind, how) in kinds.items() if kind == "number" and how == ","
        }
        self.dropped_ = {name: why for name, (kind, why) in kinds.items() if kind == "dropped"}
        if len(self.dropped_) == len(kinds):
            raise ValueError(
                f"Item data (n_samples = {len(frame)}) must have a column that tells items apart; "
                "got none: "
                + ", ".join(f"{name!r} ({why})" for name, why in self.dropped_.items())
                + ". In SelectiveLLMRegularizedMF item_encoder=None is a model without features; a "
                "judge reads the columns of item_text all the same."
            )
        plain = self._plain(frame)
        transformers = [
            # Numbered, since ColumnTransformer does not take every column name as a name.
            (str(position), *self._block(plain[name], kind, separator, min_count))
            for position, (name, (kind, separator)) in enumerate(kinds.items())
            if kind in _COLUMN_KINDS
        ]
        parts, self.column_transformer_ = [], None
        if transformers:
            self.column_transformer_ = ColumnTransformer(transformers, sparse_threshold=1.0)
            with _in_this_process():
                features = self.column_transformer_.fit_transform(plain)
            features = sparse.csr_matrix(features, dtype=np.float32)
            scale = np.ones(features.shape[1], dtype=np.float32)
            for block in self.column_transformer_.output_indices_.values():
                scale[block] = _block_scale(features[:, block])
            parts.append((features, scale))
        self._numbers = []
        for columns, values, numbers in self._plain_blocks(frame):
            features = numbers.fit_transform(values)
            self._numbers.append((columns, numbers))
            scale = np.full(features.shape[1], _block_scale(features), dtype=np.float32)
            parts.append((features, scale))
        self.scale_ = np.concatenate([scale for _, scale in parts])
        return self._joined([features for features, _ in parts])

    def _plain_blocks(self, frame):
        """Yield the blocks of numbers that are taken as they are.

        Yields
        ------
        columns : str or list of str
            A column of vectors, or columns of numbers.
        values : ndarray or DataFrame
        numbers : PlainNumbers
        """
        by_kind = {kind: [] for kind in ("vector", "plain number", "plain flag")}
        for name, kind in self.column_kinds_.items():
            if kind in by_kind:
                by_kind[kind].append(name)
        for name in by_kind.pop("vector"):
            values = as_vectors(frame[name])
            names = [f"{name}={place}" for place in range(values.shape[1])]
            yield name, values, PlainNumbers(names, missing=f"{name}=missing")
        for kind, names in by_kind.items():
            if names:
                yield (
                    names,
                    _dates_as_numbers(frame[names]),
                    PlainNumbers(names, flags=kind == "plain flag"),
                )

    def _joined(self, parts):
        """Put blocks beside one another, scaled."""
        features = parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr")
        for start in range(0, features.nnz, _ENTRIES_PER_CHUNK):
            part = slice(start, start + _ENTRIES_PER_CHUNK)
            features.data[part] *= self.scale_[features.indices[part]]
        return features

    def transform(self, X):
        """Encode `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_items, n_columns)
            Item data with the columns seen in `fit`.

        Returns
        -------
        csr_matrix of shape (n_items, n_features), float32
            The features. Entries and words not seen in `fit` are ignored, categories count as rare.
        """
        check_is_fitted(self)
        frame, parts = self._read(X, reset=False), []
        if self.column_transformer_ is not None:
            with _in_this_process():
                features = self.column_transformer_.transform(self._plain(frame))
            parts.append(sparse.csr_matrix(features, dtype=np.float32))
        for columns, numbers in self._numbers:
            values = frame[columns]
            if isinstance(columns, str):
                values = read_vectors(values, len(numbers.names))
            else:
                values = _dates_as_numbers(values)
            parts.append(numbers.transform(values))
        return self._joined(parts)

    def get_feature_names_out(self, input_features=None):
        """Names of the features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_features,), object
            ``"column=entry"``, for instance ``"genres=Comedy"``; for a number, ``"year=1995"`` is
            the hat function at the knot 1995; for a vector, ``"plot=0"`` is its first coordinate;
            plain numbers have the name of the column. Vectors and plain numbers come last.
        """
        check_is_fitted(self)
        columns, found = list(self.column_kinds_), []
        if self.column_transformer_ is not None:
            names = self.column_transformer_.get_feature_names_out()
            parts = (name.partition("__") for name in names)
            found = [f"{columns[int(block)]}={entry}" for block, _, entry in parts]
        for _, numbers in self._numbers:
            found += numbers.feature_names()
        return np.array(found, dtype=object)

    def _read(self, X, *, reset):
        """Validate `X`; return it as a pandas frame with str column names on a RangeIndex."""
        if isinstance(X, pd.DataFrame):
            _check_column_names(X)
            X = X.set_axis([str(name) for name in X.columns], axis=1).reset_index(drop=True)
        elif nw.dependencies.is_into_dataframe(X):
            X = _eager_to_pandas(X, "X")
        else:
            X = check_array(X, dtype=None, ensure_all_finite=False)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if isinstance(X, pd.DataFrame):
            return _with_numbers(flat_entries(X))
        names = [f"x{i}" for i in range(X.shape[1])] if reset else list(self.column_kinds_)
        return _with_numbers(flat_entries(pd.DataFrame(X, columns=names).infer_objects()))

    def _plain(self, frame):
        """Make columns float64 with NaN (numbers), or str without missing values (all others)."""
        missing = {"category": "missing", "list": "", "text": ""}
        return pd.DataFrame(
            {
                name: _numbers(frame[name], "," if name in self._with_comma else ".")
                if kind == "number"
                else _strings(frame[name], _UNIT_SEPARATOR).fillna(missing[kind])
                for name, kind in self.column_kinds_.items()
                if kind in _COLUMN_KINDS
            }
        )

    def _block(self, values, kind, separator, min_count):
        """Make a column's transformer; return it with the column to select (a str: as 1-D)."""
        if kind == "number":
            return _LinearSpline(self.n_knots), [values.name]
        if kind == "category":
            one_hot = OneHotEncoder(
                min_frequency=min_count,
                max_categories=self.max_features,
                handle_unknown="infrequent_if_exist",
                feature_name_combiner=_category_name,
                dtype=np.float32,
            )
            return one_hot, [values.name]
        if kind == "list":
            vectorizer = CountVectorizer(
                token_pattern=_entry_pattern(separator),
                lowercase=False,
                binary=True,
                min_df=min_count,
                max_features=self.max_features,
                dtype=np.float32,
            )
        else:
            min_rows = max(min_count, math.ceil(_TEXT_SHARE * len(values)))
            # Few rows have texts: there are fewer than 20 tokens for a text's length, so one stays.
            most_rows = max(1, (values != "").sum() // 20)
            vectorizer = TfidfVectorizer(
                analyzer=_text_tokens,
                sublinear_tf=True,
                min_df=int(min(min_rows, most_rows)),
                max_features=self.max_features,
                dtype=np.float32,
            )
        return vectorizer, values.name

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


class _LinearSpline(TransformerMixin, BaseEstimator):
    """Piecewise linear spline of one number, for ridge regression: hat functions at quantiles.

    Adds to scikit-learn's ``SplineTransformer(degree=1, knots="quantile")`` what that lacks:
    quantiles that coincide make one knot, and missing values make zeros and a feature of their own
    (if there were any in `fit`). Outside the knots the spline is constant.

    Parameters
    ----------
    n_knots : int
        Number of quantiles, >= 2.
    """

    def __init__(self, n_knots):
        self.n_knots = n_knots

    def fit(self, X, y=None):
        """Fit on a frame of shape (n, 1), float64 with NaN, with at least two distinct numbers."""
        x = X.to_numpy().ravel()
        self.has_missing_ = bool(np.isnan(x).any())
        self.knots_ = np.unique(np.nanquantile(x, np.linspace(0, 1, self.n_knots)))
        self.spline_ = SplineTransformer(
            degree=1, knots=self.knots_[:, None], extrapolation="constant", sparse_output=True
        ).fit(self.knots_[:, None])
        return self

    def transform(self, X):
        """Evaluate the hat functions: CSR of shape (n, number of knots [+ 1])."""
        x = X.to_numpy()
        missing = np.isnan(x)
        hats = self.spline_.transform(np.where(missing, self.knots_[0], x))
        hats = sparse.csr_matrix(hats).multiply(~missing)
        return sparse.hstack([hats, missing] if self.has_missing_ else [hats], format="csr")

    def get_feature_names_out(self, input_features=None):
        """Name the knots, then "missing"."""
        return np.array(
            [f"{k:.6g}" for k in self.knots_] + ["missing"] * self.has_missing_, dtype=object
        )


def _block_scale(features):
    """Return what makes the root mean square of the norms of a block's non-zero rows 1."""
    squares = [
        np.asarray(features[start : start + _ROWS_PER_CHUNK].power(2).sum(axis=1))
        for start in range(0, features.shape[0], _ROWS_PER_CHUNK)
    ]
    squares = np.concatenate(squares)
    return 1 / np.sqrt(squares[squares > 0].mean()) if squares.any() else 1


@contextmanager
def _in_this_process():
    """Keep ColumnTransformer from sending columns to the workers of a search's cluster.

    And from making frames of them, as a global `transform_output` has it: they are sparse.
    """
    with joblib.parallel_config(backend="sequential"), config_context(transform_output="default"):
        yield


def _dict_to_frame(item_data):
    """Make a frame of the values of a dict (scalars, lists, or dicts of columns), in its order."""
    values = list(item_data.values())
    n_dicts = sum(isinstance(value, dict) for value in values)
    if n_dicts == 0:
        return pd.DataFrame({"text": values})
    if n_dicts < len(values):
        raise ValueError(
            "The values of item_data must be all dicts of columns or none; got "
            f"{n_dicts} dicts among {len(values)} values."
        )
    return pd.DataFrame.from_records(values)


def _eager_to_pandas(frame, name):
    """Convert an eager data frame that narwhals reads to pandas; this needs no pyarrow."""
    try:
        frame = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        is_path = isinstance(frame, str | Path)
        hint = f" Pass what is read from it: {how_to_read(frame, name)}." if is_path else ""
        raise TypeError(
            f"{name} must be a pandas or polars DataFrame (collected, not lazy), a pandas Series "
            f"or a dict; got {name_kind(frame)}.{hint}"
        ) from error
    return pd.DataFrame(frame.to_dict(as_series=False))


def _check_column_names(frame):
    """Raise if two columns have the same name as str."""
    names = pd.Index([str(name) for name in frame.columns])
    if names.has_duplicates:
        raise ValueError(
            "The columns of item data must have names of their own; got "
            f"{names[names.duplicated()].unique().tolist()} more than once."
        )


def _check_ids(ids):
    """Raise unless there are ids, all of them finite and distinct."""
    if len(ids) == 0:
        raise ValueError("item_data must hold at least one item; got none.")
    null = ids.isna()
    if pd.api.types.is_float_dtype(ids.dtype):
        null = null | np.isinf(ids.to_numpy(dtype=float, na_value=np.nan))
    if null.any():
        remedy = f" {READ_AS_INTEGERS}" * pd.api.types.is_float_dtype(ids.dtype)
        raise ValueError(
            f"The item ids of item_data must not be missing or infinite; got {null.sum()} that "
            f"are, the first in row {null.argmax()} (counting from 0).{remedy}"
        )
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"item_data must have one row an item; got several for {len(twice)} item ids, such as "
            f"{twice[:5].tolist()}. {_how_to_tell_apart(twice)}"
        )


def _how_to_tell_apart(ids):
    """Say what to do with ids that occur twice."""
    if pd.api.types.is_float_dtype(ids.dtype) and (np.abs(ids) >= 2**53).any():
        return f"From 2**53 on floats do not tell all integers apart. {READ_AS_INTEGERS}"
    return "Keep one of them, as by drop_duplicates."


def _check_features(features, n_rows, encoder):
    """Return the output of an encoder as CSR float32, or raise ValueError."""
    name = type(encoder).__name__
    if not sparse.issparse(features):
        features = np.asarray(features)
    if features.ndim != 2 or features.shape[0] != n_rows or features.shape[1] == 0:
        raise ValueError(
            f"item_encoder must make one row for each of the {n_rows} items and at least one "
            f"column; got an array of shape {features.shape} from {name}. (Transformers of one "
            "text column go into a ColumnTransformer.)"
        )
    try:
        if sparse.issparse(features):  # its entries may be summed: not in 8 bits
            features = features.astype(np.float32, copy=False)
        features = sparse.csr_matrix(features, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item_encoder must make numbers; got values of type {features.dtype} from {name}."
        ) from error
    if not np.isfinite(features.data).all():
        raise ValueError(f"item_encoder must make finite numbers; got NaN or infinity from {name}.")
    return features


def _value_type(values):
    """Tell what a column holds.

    Parameters
    ----------
    values : Series of shape (n,)
        The column as the user gave it.

    Returns
    -------
    str
        "number", "date", "text", "flag" (booleans), "list", "nothing" (all missing), or the name of
        a type that is not read.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "text" if values.notna().any() else "nothing"
    present = values.dropna().astype(object)
    inferred = pd.api.types.infer_dtype(present)
    if inferred.startswith("mixed") and inferred != "mixed-integer-float":
        types = set(present.map(type))
        if np.ndarray in types and any(np.ndim(e) > 1 for e in present if type(e) is np.ndarray):
            return "array of several dimensions"
        if types <= {list, tuple, set, frozenset, np.ndarray}:
            first = pd.api.types.infer_dtype(present.iloc[:100].explode().dropna())
            if first in ("floating", "mixed-integer-float"):
                return "vector"
            whole = first in ("integer", "boolean") and as_vectors(values) is not None
            return "vector" if whole else "list"
        if all(issubclass(t, (str, int, float, np.number, np.bool_)) for t in types):
            return "text"
        return " and ".join(sorted(t.__name__ for t in types))
    return {
        "empty": "nothing",
        "integer": "number",
        "floating": "number",
        "mixed-integer-float": "number",
        "decimal": "number",
        "datetime": "date",
        "datetime64": "date",
        "date": "date",
        "boolean": "flag",
        "string": "text",
    }.get(inferred, inferred)


def _column_kinds(frame, min_count):
    """Choose the kinds of all columns, name -> (kind, detail); see `_column_kind`."""
    numbers = {name for name in frame.columns if is_number(frame[name])}
    dates = {n for n in frame.columns if n not in numbers and _value_type(frame[n]) == "date"}
    quick = set().union(*(some for some in (numbers, dates) if len(some) > _MANY_NUMBERS))
    return {
        name: _number_kind(_dates_as_numbers(frame[[name]])[name])
        if name in quick
        else _column_kind(frame[name], min_count)
        for name in frame.columns
    }


def _with_numbers(frame):
    """Return a frame in which numbers as objects, such as Decimals, have a dtype of numbers."""
    objects = [name for name in frame.columns if frame[name].dtype == object]
    numbers = [name for name in objects if _value_type(frame[name]) == "number"]
    return frame.assign(**{name: _numbers(frame[name]) for name in numbers}) if numbers else frame


def _dates_as_numbers(frame):
    """Return columns of numbers and dates as columns of numbers."""
    dates = [name for name in frame.columns if not is_number(frame[name])]
    return frame.assign(**{name: _numbers(frame[name]) for name in dates}) if dates else frame


def _number_kind(column):
    """Choose the kind of one of many columns of numbers, as `_column_kind` does."""
    numbers = read_number(column)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return "dropped", "no values"
    low, high = present.min(), present.max()
    if low == high and len(present) == len(numbers):
        return "dropped", "constant"
    if low >= 0 and high <= 1 and ((present == 0) | (present == 1)).all():
        return "plain flag", ""
    if _are_row_numbers(numbers):
        return "dropped", "identifiers"
    return "plain number", ""


def _column_kind(values, min_count):
    """Choose the kind of a column (see :class:`AutoItemEncoder`).

    Parameters
    ----------
    values : Series of shape (n,)
        The column as the user gave it.
    min_count : int
        Rows that an entry or a category must have to become a feature.

    Returns
    -------
    kind : {"list", "category", "number", "text", "dropped"}
    detail : str
        The separator of a list, the decimal comma of a number, the reason for a dropped column,
        else "".
    """
    value_type = _value_type(values)
    if value_type == "nothing":
        return "dropped", "no values"
    if value_type == "vector":
        is_vector = as_vectors(values) is not None
        return ("vector", "") if is_vector else ("dropped", why_no_vectors(values))
    if value_type not in ("number", "date", "text", "flag", "list"):
        return "dropped", f"values of type {value_type}"
    strings = _strings(values, _UNIT_SEPARATOR)
    if strings.nunique(dropna=False) == 1:
        return "dropped", "constant"
    if value_type == "text" and strings.dropna().str.fullmatch(_WRITTEN_VECTOR).all():
        return "dropped", "vectors written as text: read them, as by .map(json.loads)"
    common = max(2, min_count)
    separator = _separator(strings, common) if value_type == "text" else None
    decimal = _written_decimal(strings) if value_type == "text" else None
    if decimal is not None and not (separator == "," and _are_codes_of_three(strings)):
        return ("category" if strings.nunique() <= _FEW_VALUES else "number"), decimal
    if separator is not None:  # before identifiers, which lists of codes without spaces resemble
        return "list", separator
    if _is_identifier(values):
        return "dropped", "identifiers"
    if value_type in ("number", "date"):
        return ("category" if strings.nunique() <= _FEW_VALUES else "number"), ""
    if value_type == "list":
        shared = _shared_entries(strings, _UNIT_SEPARATOR, common) > 0
        return ("list", _UNIT_SEPARATOR) if shared else ("dropped", "lists that share no entries")
    counts = strings.value_counts()
    is_category = value_type == "flag" or (
        counts[counts >= common].sum() >= _CATEGORY_SHARE * counts.sum()
    )
    if not is_category and counts.sum() < min_count:
        return "dropped", f"fewer than {min_count} values, none repeated"
    return ("category" if is_category else "text"), ""


def _separator(strings, common):
    """Return what separates the entries of texts that are lists; None if they are none."""
    for separator, least in _SHARED_ENTRIES.items():
        splits = strings.str.contains(separator, regex=False, na=False)
        if (
            splits.sum() >= _LIST_SHARE * strings.count()
            and _shared_entries(strings, separator, common) >= least
        ):
            return separator
    return None


def _shared_entries(strings, separator, common):
    """Compute the share of all entries, by characters, that is entries in `common` or more rows."""
    entries = strings.str.findall(_entry_pattern(separator)).explode().rename("entry")
    counts = entries.reset_index().drop_duplicates()["entry"].value_counts()
    characters = counts * counts.index.str.len()
    return characters[counts >= common].sum() / max(1, characters.sum())


def _entry_pattern(separator):
    """Make the regular expression of a list's entry, less blanks, brackets and quotes around it."""
    separator = re.escape(separator)
    edge = rf"[^{separator}\s\[\]'\"]"
    return rf"{edge}(?:[^{separator}]*{edge})?"


def _is_identifier(values):
    """Tell whether values only name their rows: unrepeated codes, or row numbers."""
    present = values.dropna()
    if len(present) <= _MIN_ROWS_OF_IDENTIFIERS:
        return False
    value_type = _value_type(values)
    if value_type == "number":
        return _are_row_numbers(_numbers(values))
    if value_type != "text":
        return False
    # Printable ASCII without spaces: languages written without spaces are no codes.
    strings = _strings(present)
    return (
        strings.nunique() > 0.9 * len(strings)
        and bool(strings.str.fullmatch(r"[!-~]+").all())
        and _written_decimal(strings) is None
    )


def _are_row_numbers(numbers):
    """Tell whether numbers are whole and strictly increasing, as those of rows."""
    if len(numbers) <= _MIN_ROWS_OF_IDENTIFIERS:
        return False
    return bool((np.diff(numbers) > 0).all() and (numbers % 1 == 0).all())


def _written_decimal(strings):
    """Return what stands before the decimals of numbers in texts; None if they are no numbers.

    Plain whole numbers, and "4,50" without others that have a currency or thousands, are none.
    """
    present = strings.dropna()
    for decimal, form, signs in (
        (".", _WITH_POINT, _SIGNS_OF_POINT),
        (",", _WITH_COMMA, _SIGNS_OF_COMMA),
    ):
        if present.str.fullmatch(form).all() and present.str.contains(signs, regex=True).any():
            return decimal
    return None


def _are_codes_of_three(strings):
    """Tell whether numbers such as "107,138" may be lists: no number has all that they have.

    Entries of three digits, of which only the first ones may begin with a zero if any does.
    """
    present = strings.dropna()
    if not present.str.fullmatch(r"\s*\d{3}(?:,\d{3})*\s*").all():
        return False
    return bool(present.str.match(r"\s*0").any() or not present.str.contains(",0").any())


def are_codes(texts):
    """Tell whether most of some texts are numbers or codes such as "B000123", not words.

    Parameters
    ----------
    texts : ndarray of shape (n,), object
        What is no str is a code.
    """
    words = [
        " ".join(_WORD.findall(text)) if isinstance(text, str) else "" for text in texts.tolist()
    ]
    return len(set(words)) <= len(words) / 2 if len(words) > 1 else not words[0]


def _are_links_or_codes(texts):
    return texts.str.contains("://", regex=False).mean() > 0.5 or are_codes(texts.to_numpy())


def hidden_columns(table):
    """Return the columns that a judge is not shown because they were taken for identifiers.

    Returns
    -------
    hidden : list
    nameable : list
        These and those that it is shown, in the order of the table: what `item_text` has to name.
    """
    readable = [name for name in table.frame if _is_readable(table.frame[name])]
    others = [name for name in table.frame if name not in readable]
    hidden = [name for name in others if _is_identifier(table.frame[name])]
    return hidden, [name for name in table.frame if name in readable or name in hidden]


def _is_readable(values):
    """Tell whether a judge reads a column unless told otherwise (see :func:`item_texts`)."""
    match _value_type(values):
        case "number":
            numbers = _numbers(values.dropna())
            return bool((numbers % 1 == 0).all()) and not _is_identifier(values)
        case "text":
            return not (_is_identifier(values) and _are_links_or_codes(_strings(values).dropna()))
        case value_type:
            return value_type in ("date", "flag", "list")


def _numbers(values, decimal="."):
    """Read numbers, or dates as decimal years (UTC): float64 of shape (n,), NaN where missing.

    In texts `decimal` is what stands before the decimals, "." or ",".
    """
    match _value_type(values):
        case "date":
            days = _timestamps(values) - np.datetime64(0, "us")
            return 1970 + days / np.timedelta64(1, "us") / (365.2425 * 86_400e6)
        case "text":
            thousands = "," if decimal == "." else "."
            written = _strings(values).str.replace(rf"[{thousands}$€£¥%A-Z\s]", "", regex=True)
            written = written.str.replace(",", ".")
            values = pd.to_numeric(written, errors="coerce").rename(values.name)
    numbers = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    check_finite_numbers(numbers, values.name)
    return numbers


def _timestamps(values):
    """Read dates as datetimes in UTC, (n,) datetime64[us].

    Nanoseconds hold the years 1678 to 2262 alone, and "9999-12-31" is a common "no end".
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if values.dtype.kind == "M":
        return values.to_numpy().astype("M8[us]")
    return np.array([_timestamp(value) for value in values], dtype="M8[us]")


def _timestamp(value):
    """Read a date, datetime or Timestamp, or a missing value."""
    if pd.isna(value):
        return np.datetime64("NaT", "us")
    if getattr(value, "tzinfo", None) is not None:
        with suppress(OverflowError):  # the first or last day there is
            value = value.astimezone(datetime.timezone.utc)
        value = value.replace(tzinfo=None)
    if isinstance(value, pd.Timestamp):
        value = value.to_datetime64()
    return np.datetime64(value).astype("M8[us]")


def _strings(values, joint=", "):
    """Write values as people do: an object Series of str, NaN where missing or blank.

    Whole numbers have no decimal point, dates no time of day at midnight; lists are joined by
    `joint`.
    """
    present = values.dropna()
    match _value_type(values):
        case "number":
            texts = pd.Series(_numbers(present), index=present.index).map("{:.15g}".format)
        case "date":
            times = np.datetime_as_string(_timestamps(present).astype("M8[s]"))
            texts = pd.Series(times, index=present.index).str.replace("T", " ")
            texts = texts.str.removesuffix(" 00:00:00")
        case "list":
            texts = present.map(lambda entries: _join(entries, joint))
        case _:
            texts = present.astype(object).map(str)
    texts = texts.astype(object)
    return texts[texts.str.strip() != ""].reindex(values.index)


def _join(entries, joint):
    """Join the entries of one list, tuple, array or set (sorted: sets have no stable order)."""
    if isinstance(entries, (set, frozenset)):
        entries = sorted(entries, key=str)
    return joint.join(str(entry) for entry in entries if entry is not None)


def _text_tokens(text):
    """Split a text into words, numbers and punctuation marks, and add tokens for its form.

    Examples
    --------
    >>> _text_tokens("Toy Story 2")
    ['toy', 'story', '2', '<2-3 tokens>', '<digits>']
    """
    tokens = _TOKEN.findall(text.lower())
    if not tokens:
        return tokens
    low = 1 << (len(tokens).bit_length() - 1)
    form = [f"<{low}-{2 * low - 1} tokens>"]
    if _DIGIT.search(text):
        form.append("<digits>")
    return tokens + form


def _category_name(column, category):
    """Name a one-hot feature by its category alone: :class:`AutoItemEncoder` adds the column."""
    return str(category)
