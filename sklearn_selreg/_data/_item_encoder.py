"""Encoding of item data as features, with an encoding chosen per column by its content."""

import math
import re
from contextlib import contextmanager

import joblib
import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .._utils._params import check_integer
from .._utils._public import public
from .._utils._sklearn import DisplayMixin
from .._utils._typing import Table
from ._collected import collect_all
from ._column_forms import column_form, read_as_in_fit
from ._column_kinds import UNIT_SEPARATOR, column_kinds, entry_pattern
from ._column_values import dates_to_numbers, objects_to_numbers, read_numbers, read_strings
from ._item_table import check_column_names, to_pandas
from ._plain_numbers import PlainNumbers
from ._spline import LinearSpline
from ._vectors import as_vectors, flatten_entries, read_vectors

_COLUMN_KINDS = "list", "category", "number", "text"  # encoded column by column
_ENTRIES_PER_CHUNK, _ROWS_PER_CHUNK = 2**22, 2**14
# Words must occur in this fraction of the rows: rarer ones identify items, not kinds of items.
_MIN_TEXT_ROWS = 0.02
_DIGIT = re.compile(r"\d")
_HAS_DIGITS = "<digits>"  # cannot be a token: tokens are words or single punctuation marks
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+|[^\w\s]")


@public
class AutoItemEncoder(  # type: ignore[call-arg]
    DisplayMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Encode a table of item data as sparse features, choosing an encoding for each column.

    It also encodes tables of user data.

    Each column becomes a block of features according to its kind:

    - ``"list"``: text such as ``"Comedy|Drama"``, in which ``|``, ``;`` or ``,`` separates entries
      shared by many rows, and columns of Python lists. One 0/1 feature per frequent entry.
    - ``"category"``: text with repeated values (including categoricals), booleans, intervals (as
      from :func:`pandas.cut`), and numbers or dates with at most 10 distinct values. One 0/1
      feature per frequent value, one for all others, and one for missing values.
    - ``"number"``: other numbers, and dates as decimal years. A piecewise linear spline with one
      hat function per knot; for missing values, zeros and a 0/1 indicator.
    - ``"text"``: TF-IDF of words, numbers and punctuation marks (typical of sequels and subtitles)
      that occur in at least 2 % of the rows, plus features for the length of the text and for
      digits.
    - ``"vector"``: lists or arrays of numbers of equal length, such as embeddings. Standardized
      coordinates, as one block; for missing vectors, zeros and a 0/1 indicator. (Lists of integers
      are entries, unless some are negative or all are 0 or 1.)
    - ``"plain number"`` and ``"plain flag"``: numbers and flags, or dates, in tables with more than
      30 such columns. Numbers are standardized, flags stay 0 or 1, and each kind is one block; for
      missing values, 0 and a 0/1 indicator.
    - ``"dropped"``: constant or empty columns, identifiers (in tables of more than 20 rows: text
      without spaces that hardly ever repeats, such as links and hashes, and strictly increasing
      integers, such as row numbers), and unsupported values.

    Columns that only contain text such as "4.50", "1,023.50", "1.023,50", "US$ 20" or "3.5%" are
    read as numbers; so are whole numbers and prices such as "12,50" if most values are prices.

    Each block is then divided by the root mean square of the Euclidean norms of its nonzero rows,
    so that all columns of the table have about equal weight under a common ridge penalty. There is
    no intercept.

    Parameters
    ----------
    min_count : int, default=5
        Minimum number of rows for a list entry, category or word to get its own feature. In tables
        of fewer than ``10 * min_count`` rows, a tenth of the rows.
    max_features : int, default=300
        Maximum number of features per column of lists, categories or text; the most frequent are
        kept.
    n_knots : int, default=19
        Number of knots of the spline of a number, at evenly spaced quantiles (fewer if quantiles
        coincide).

    Attributes
    ----------
    column_kinds_ : dict
        Column name -> kind, as above.
    dropped_ : dict
        Name of each dropped column -> reason.
    column_transformer_ : ColumnTransformer or None
        Fitted scikit-learn transformers, one per column. None if there are only vectors and plain
        numbers.
    scale_ : ndarray of shape (n_features,)
        Scaling factor of each feature, the same for all features of a column.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, as str. Not defined for arrays.

    See Also
    --------
    skrub.TableVectorizer : Similar encoder for general tables.

    Notes
    -----
    Kinds are chosen in `fit`; `transform` expects the same columns in the same order.
    Features are always a CSR matrix, regardless of scikit-learn's global `transform_output`.

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

    def __init__(self, min_count: int = 5, max_features: int = 300, n_knots: int = 19) -> None:
        self.min_count = min_count
        self.max_features = max_features
        self.n_knots = n_knots

    def fit(self, X: Table, y: object = None) -> "AutoItemEncoder":
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
            message lists the reason for each column.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Table, y: object = None) -> sparse.csr_matrix:
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
            If a parameter is out of range, a number is infinite, or no column is usable.
        """
        for name, least in (("min_count", 1), ("max_features", 1), ("n_knots", 2)):
            check_integer(name, getattr(self, name), least)
        frame = self._read(X, reset=True)
        min_count = min(self.min_count, max(1, len(frame) // 10))
        kinds = column_kinds(frame, min_count)
        self.column_kinds_ = {name: kind for name, (kind, _) in kinds.items()}
        self.dropped_ = {name: why for name, (kind, why) in kinds.items() if kind == "dropped"}
        if len(self.dropped_) == len(kinds):
            raise ValueError(self._message_no_column(len(frame)))
        forms = {name: column_form(frame[name], kind) for name, kind in kinds.items()}
        self._forms = {name: form for name, form in forms.items() if form is not None}
        frame = self._as_in_fit(frame)
        blocks = [*self._fit_columns(frame, kinds, min_count), *self._fit_plain_numbers(frame)]
        self.scale_ = np.concatenate([scale for _, scale in blocks])
        return self._stack([features for features, _ in blocks])

    def _message_no_column(self, n_rows):
        reasons = ", ".join(f"{name!r} ({why})" for name, why in self.dropped_.items())
        return (
            f"The table (n_samples = {n_rows}) must have at least one usable column; got none: "
            f"{reasons}. In SelectiveLLMRegularizedMF, omit such user_data; for such item_data, "
            "set item_encoder=None to use no features. A judge still sees the item texts (choose "
            "columns by item_text of SlateSampler)."
        )

    def _fit_columns(self, frame, kinds, min_count):
        """Fit the transformers of single columns; yield their features and scale, if any."""
        columns = self._read_columns(frame)
        transformers = [
            # Numbered, since ColumnTransformer does not accept all column names as names.
            (str(position), *self._transformer(columns[name], kind, detail, min_count))
            for position, (name, (kind, detail)) in enumerate(kinds.items())
            if kind in _COLUMN_KINDS
        ]
        self.column_transformer_ = None
        if transformers:
            self.column_transformer_ = ColumnTransformer(transformers, sparse_threshold=1.0)
            with _in_this_process():
                features = self.column_transformer_.fit_transform(columns)
            features = sparse.csr_matrix(features, dtype=np.float32)
            scale = np.ones(features.shape[1], dtype=np.float32)
            for part in self.column_transformer_.output_indices_.values():
                scale[part] = _block_scale(features[:, part])
            yield features, scale

    def _fit_plain_numbers(self, frame):
        """Fit the blocks of plain numbers; yield the features and scale of each."""
        self._plain_numbers = []
        for columns, values, numbers in self._plain_blocks(frame):
            features = numbers.fit_transform(values)
            self._plain_numbers.append((columns, numbers))
            yield features, np.full(features.shape[1], _block_scale(features), dtype=np.float32)

    def _plain_blocks(self, frame):
        """Yield the blocks of plain numbers and vectors.

        Yields
        ------
        columns : str or list of str
            Name of a column of vectors, or names of columns of numbers.
        values : ndarray or DataFrame
        numbers : PlainNumbers
        """
        by_kind = {kind: [] for kind in ("vector", "plain number", "plain flag")}
        for name, kind in self.column_kinds_.items():
            if kind in by_kind:
                by_kind[kind].append(name)
        for name in by_kind.pop("vector"):
            values = as_vectors(frame[name])
            names = [f"{name}[{coordinate}]" for coordinate in range(values.shape[1])]
            yield name, values, PlainNumbers(names, missing=f"{name}=missing")
        for kind, names in by_kind.items():
            if names:
                numbers = PlainNumbers(names, flags=kind == "plain flag")
                yield names, dates_to_numbers(frame[names]), numbers

    def _stack(self, blocks):
        """Concatenate and scale blocks of features."""
        features = blocks[0] if len(blocks) == 1 else sparse.hstack(blocks, format="csr")
        for start in range(0, features.nnz, _ENTRIES_PER_CHUNK):
            chunk = slice(start, start + _ENTRIES_PER_CHUNK)
            features.data[chunk] *= self.scale_[features.indices[chunk]]
        return features

    def transform(self, X: Table) -> sparse.csr_matrix:
        """Encode `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_items, n_columns)
            Item data with the columns seen in `fit`.

        Returns
        -------
        csr_matrix of shape (n_items, n_features), float32
            The features. Entries and words not seen in `fit` are ignored; unseen categories count
            as infrequent.

        Warns
        -----
        DataWarning
            If values cannot be read as the content type seen in `fit`; they count as missing.
            Equivalent are dates and text such as ``"1990-12-31"``, booleans and 0/1, and numbers
            and text in the format of `fit`, or such as ``"12.5"`` if `fit` saw no text.
        """
        check_is_fitted(self)
        frame, blocks = self._as_in_fit(self._read(X, reset=False)), []
        if self.column_transformer_ is not None:
            with _in_this_process():
                features = self.column_transformer_.transform(self._read_columns(frame))
            blocks.append(sparse.csr_matrix(features, dtype=np.float32))
        for columns, numbers in self._plain_numbers:
            if isinstance(columns, str):
                values = read_vectors(frame[columns], len(numbers.names))
            else:
                values = dates_to_numbers(frame[columns])
            blocks.append(numbers.transform(values))
        return self._stack(blocks)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Get the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_features,), object
            ``"column=entry"``, for instance ``"genres=Comedy"`` or ``"title=story"``; for a
            number, ``"year=1995"`` is the hat function at the knot 1995. Features of punctuation
            and form of a text are named ``'title with ":"'``, ``"title with digits"`` and ``"title
            of 2-3 tokens"``. For a vector, ``"plot[0]"`` is its first coordinate; plain numbers
            have the name of the column. Vectors and plain numbers come last.
        """
        check_is_fitted(self)
        columns, names = list(self.column_kinds_), []
        if self.column_transformer_ is not None:
            for name in self.column_transformer_.get_feature_names_out():
                position, _, entry = name.partition("__")
                column = columns[int(position)]
                is_text = self.column_kinds_[column] == "text"
                names.append((_name_token if is_text else _name_entry)(column, entry))
        for _, numbers in self._plain_numbers:
            names += numbers.feature_names()
        return np.array(names, dtype=object)

    def _read(self, X, *, reset):
        """Validate `X`; return it as a pandas frame with str column names on a RangeIndex."""
        X = collect_all(X)
        if isinstance(X, pd.DataFrame):
            check_column_names(X)
            X = X.set_axis([str(name) for name in X.columns], axis=1).reset_index(drop=True)
        elif nw.dependencies.is_into_dataframe(X):
            X = to_pandas(nw.from_native(X, eager_only=True))
        else:
            X = check_array(X, dtype=None, ensure_all_finite=False)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if isinstance(X, pd.DataFrame):
            return objects_to_numbers(flatten_entries(X))
        names = [f"x{i}" for i in range(X.shape[1])] if reset else list(self.column_kinds_)
        return objects_to_numbers(flatten_entries(pd.DataFrame(X, columns=names).infer_objects()))

    def _as_in_fit(self, frame):
        """Convert columns to the content types seen in fit."""
        changed = {}
        for name, form in self._forms.items():
            column = frame[name]
            read = read_as_in_fit(column, form)
            if read is not column:
                changed[name] = read
        return frame.assign(**changed) if changed else frame

    def _read_columns(self, frame):
        """Read numbers as float64 with NaN, other columns as str without missing values."""
        missing = {"category": "missing", "list": "", "text": ""}
        return pd.DataFrame(
            {
                name: read_numbers(frame[name])
                if kind == "number"
                else read_strings(frame[name], UNIT_SEPARATOR).fillna(missing[kind])
                for name, kind in self.column_kinds_.items()
                if kind in _COLUMN_KINDS
            }
        )

    def _transformer(self, values, kind, detail, min_count):
        """Return the transformer of a column, and its column selector (a str selects it as 1-D)."""
        if kind == "number":
            return LinearSpline(self.n_knots), [values.name]
        if kind == "category":
            transformer = OneHotEncoder(
                min_frequency=min_count,
                max_categories=self.max_features,
                handle_unknown="infrequent_if_exist",
                feature_name_combiner=_category_name,
                dtype=np.float32,
            )
            return transformer, [values.name]
        if kind == "list":
            transformer = CountVectorizer(
                token_pattern=entry_pattern(detail),
                lowercase=False,
                binary=True,
                min_df=min_count,
                max_features=self.max_features,
                dtype=np.float32,
            )
        else:
            min_rows = max(min_count, math.ceil(_MIN_TEXT_ROWS * len(values)))
            # For few texts: lengths yield fewer than 20 distinct tokens, so one is frequent enough.
            most_rows = max(1, (values != "").sum() // 20)
            transformer = TfidfVectorizer(
                analyzer=_text_tokens,
                sublinear_tf=True,
                min_df=int(min(min_rows, most_rows)),
                max_features=self.max_features,
                dtype=np.float32,
            )
        return transformer, values.name

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _block_scale(features):
    """Return the factor that scales a block's nonzero rows to a mean squared norm of 1."""
    squares = [
        np.asarray(features[start : start + _ROWS_PER_CHUNK].power(2).sum(axis=1))
        for start in range(0, features.shape[0], _ROWS_PER_CHUNK)
    ]
    squares = np.concatenate(squares)
    return 1 / np.sqrt(squares[squares > 0].mean()) if squares.any() else 1


@contextmanager
def _in_this_process():
    """Keep ColumnTransformer from using the joblib backend of an enclosing search.

    Also ignore a global `transform_output`, which may request frames.
    """
    with joblib.parallel_config(backend="sequential"), config_context(transform_output="default"):
        yield


def _text_tokens(text):
    """Split a text into words, numbers and punctuation marks; add tokens for its form.

    Examples
    --------
    >>> _text_tokens("Toy Story 2")
    ['toy', 'story', '2', '<2-3 tokens>', '<digits>']
    """
    tokens = _TOKEN.findall(text.lower())
    if not tokens:
        return tokens
    power = 1 << (len(tokens).bit_length() - 1)
    form = [f"<{power}-{2 * power - 1} tokens>"]
    if _DIGIT.search(text):
        form.append(_HAS_DIGITS)
    return tokens + form


def _name_entry(column, entry):
    return f"{column}={entry}"


def _name_token(column, token):
    """Name a feature of a text by its token.

    Examples
    --------
    >>> [_name_token("title", token) for token in ("story", ",", "<2-3 tokens>", "<digits>")]
    ['title=story', 'title with ","', 'title of 2-3 tokens', 'title with digits']
    """
    if token == _HAS_DIGITS:
        return f"{column} with digits"
    if len(token) > 1 and token.startswith("<"):
        return f"{column} of {'1 token' if token == '<1-1 tokens>' else token[1:-1]}"
    return _name_entry(column, token) if _WORD.fullmatch(token) else f'{column} with "{token}"'


def _category_name(column, category):
    """Name a one-hot feature by its category; :class:`AutoItemEncoder` adds the column."""
    return str(category)
