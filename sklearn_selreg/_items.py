"""Item data: the table of what is known about items, as features and as text.

:func:`read_item_data` turns what users have (data frame, series, dict) into an :class:`ItemTable`;
:func:`encode_items` makes features of it for the factorization, with :class:`AutoItemEncoder` or
any scikit-learn transformer; :func:`item_texts` makes the texts a judge reads.
"""

import math
import re
from dataclasses import dataclass

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
from ._interactions import encode
from ._params import check_integer, name_kind
from ._warn import warn

# Numbers with at most this many distinct values are categories.
_FEW_VALUES = 10
# In smaller tables, short distinct texts and sorted integers are not taken for identifiers.
_MIN_ROWS_OF_IDENTIFIERS = 20
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
    return ItemTable(ids=ids.to_numpy(), frame=frame.reset_index(drop=True))


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
    position = encode(table.ids, items)
    known = np.flatnonzero(position >= 0)
    pick = sparse.csr_matrix(
        (np.ones(known.size, dtype=np.float32), (known, position[known])),
        shape=(len(position), len(table.ids)),
    )
    return pick @ rows, encoder


def transform_items(encoder, table, n_features):
    """Make features of new items by a fitted encoder, (n_items, n_features) csr float32.

    Raises
    ------
    ValueError
        If the encoder's output is none as in the fit.
    """
    with config_context(transform_output="default"):
        rows = encoder.transform(table.frame)
    rows = _check_features(rows, len(table.ids), encoder)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"{type(encoder).__name__} made {rows.shape[1]} features of the new items, and "
            f"{n_features} in fit: item_data must have the columns it had there."
        )
    return rows


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


class AutoItemEncoder(DocLinkMixin, TransformerMixin, BaseEstimator):
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
    - ``"dropped"``: constant columns, columns without values, identifiers (in tables of more than
      20 rows: text without spaces that hardly ever repeats, such as links and hashes, and strictly
      increasing integers, such as row numbers), and values that are none of the above, such as
      vectors.

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
    column_transformer_ : ColumnTransformer
        The fitted scikit-learn transformers, one per column.
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
        kinds = {name: _column_kind(frame[name], min_count) for name in frame.columns}
        self.column_kinds_ = {name: kind for name, (kind, _) in kinds.items()}
        self.dropped_ = {name: why for name, (kind, why) in kinds.items() if kind == "dropped"}
        if len(self.dropped_) == len(kinds):
            raise ValueError(
                f"Item data (n_samples = {len(frame)}) must have a column that tells items apart; "
                "got none: "
                + ", ".join(f"{name!r} ({why})" for name, why in self.dropped_.items())
                + "."
            )
        plain = self._plain(frame)
        self.column_transformer_ = ColumnTransformer(
            [
                # Numbered, since ColumnTransformer does not take every column name as a name.
                (str(position), *self._block(plain[name], kind, separator, min_count))
                for position, (name, (kind, separator)) in enumerate(kinds.items())
                if kind != "dropped"
            ],
            sparse_threshold=1.0,
        )
        with _in_this_process():
            features = self.column_transformer_.fit_transform(plain)
        features = sparse.csr_matrix(features, dtype=np.float32)
        self.scale_ = np.ones(features.shape[1], dtype=np.float32)
        for block in self.column_transformer_.output_indices_.values():
            square_norms = np.asarray(features[:, block].power(2).sum(axis=1))
            if square_norms.any():
                self.scale_[block] = 1 / np.sqrt(square_norms[square_norms > 0].mean())
        features.data *= self.scale_[features.indices]
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
        frame = self._plain(self._read(X, reset=False))
        with _in_this_process():
            features = self.column_transformer_.transform(frame)
        features = sparse.csr_matrix(features, dtype=np.float32)
        features.data *= self.scale_[features.indices]
        return features

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
            the hat function at the knot 1995.
        """
        check_is_fitted(self)
        columns = list(self.column_kinds_)
        names = self.column_transformer_.get_feature_names_out()
        parts = (name.partition("__") for name in names)
        return np.array(
            [f"{columns[int(block)]}={entry}" for block, _, entry in parts], dtype=object
        )

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
            return X
        names = [f"x{i}" for i in range(X.shape[1])] if reset else list(self.column_kinds_)
        return pd.DataFrame(X, columns=names).infer_objects()

    def _plain(self, frame):
        """Make columns float64 with NaN (numbers), or str without missing values (all others)."""
        missing = {"category": "missing", "list": "", "text": ""}
        return pd.DataFrame(
            {
                name: _numbers(frame[name])
                if kind == "number"
                else _strings(frame[name], _UNIT_SEPARATOR).fillna(missing[kind])
                for name, kind in self.column_kinds_.items()
                if kind != "dropped"
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


def _in_this_process():
    """Keep ColumnTransformer from sending columns to the workers of a search's cluster."""
    return joblib.parallel_config(backend="sequential")


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
        raise TypeError(
            f"{name} must be a pandas or polars DataFrame (collected, not lazy), a pandas Series "
            f"or a dict; got {name_kind(frame)}."
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
        raise ValueError(
            f"The item ids of item_data must not be missing or infinite; got {null.sum()} that "
            f"are, the first in row {null.argmax()} (counting from 0)."
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
        return (
            "From 2**53 on floats do not tell all integers apart: read the column as integers, as "
            'by pd.read_csv(path, dtype={"item": "Int64"}), or as text (dtype=str).'
        )
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
            features = features.astype(np.float32)
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
        if types <= {list, tuple, set, frozenset, np.ndarray}:
            floats = pd.api.types.infer_dtype(present.iloc[:100].explode().dropna()) == "floating"
            return "vector" if floats else "list"
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
        The separator of a list, the reason for a dropped column, else "".
    """
    value_type = _value_type(values)
    if value_type == "nothing":
        return "dropped", "no values"
    if value_type not in ("number", "date", "text", "flag", "list"):
        return "dropped", f"values of type {value_type}"
    strings = _strings(values, _UNIT_SEPARATOR)
    if strings.nunique(dropna=False) == 1:
        return "dropped", "constant"
    if _is_identifier(values):
        return "dropped", "identifiers"
    if value_type in ("number", "date"):
        return ("category" if strings.nunique() <= _FEW_VALUES else "number"), ""
    common = max(2, min_count)
    if value_type == "list":
        shared = _shared_entries(strings, _UNIT_SEPARATOR, common) > 0
        return ("list", _UNIT_SEPARATOR) if shared else ("dropped", "lists that share no entries")
    for separator, least in _SHARED_ENTRIES.items():
        splits = strings.str.contains(separator, regex=False, na=False)
        if (
            splits.sum() >= _LIST_SHARE * strings.count()
            and _shared_entries(strings, separator, common) >= least
        ):
            return "list", separator
    counts = strings.value_counts()
    is_category = value_type == "flag" or (
        counts[counts >= common].sum() >= _CATEGORY_SHARE * counts.sum()
    )
    if not is_category and counts.sum() < min_count:
        return "dropped", f"fewer than {min_count} values, none repeated"
    return ("category" if is_category else "text"), ""


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
        numbers = _numbers(values)
        return bool((np.diff(numbers) > 0).all() and (numbers % 1 == 0).all())
    if value_type != "text":
        return False
    # Printable ASCII without spaces: languages written without spaces are no codes.
    strings = _strings(present)
    return strings.nunique() > 0.9 * len(strings) and bool(strings.str.fullmatch(r"[!-~]+").all())


def _is_readable(values):
    """Tell whether a judge reads a column unless told otherwise (see :func:`item_texts`)."""
    match _value_type(values):
        case "number":
            numbers = _numbers(values.dropna())
            return bool((numbers % 1 == 0).all()) and not _is_identifier(values)
        case "text":
            return not _is_identifier(values)
        case value_type:
            return value_type in ("date", "flag", "list")


def _numbers(values):
    """Read numbers, or dates as decimal years (UTC): float64 of shape (n,), NaN where missing."""
    if _value_type(values) == "date":
        since_epoch = _timestamps(values) - pd.Timestamp(0, tz="UTC")
        return (1970 + since_epoch / pd.Timedelta(days=365.2425)).to_numpy()
    numbers = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise ValueError(
            f"Column {values.name!r} of the item data must hold finite numbers; got infinity."
        )
    return numbers


def _timestamps(values):
    """Read dates as a datetime Series in UTC."""
    return pd.to_datetime(values.astype(object), utc=True, errors="coerce")


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
            texts = _timestamps(present).dt.strftime("%Y-%m-%d %H:%M:%S")
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
