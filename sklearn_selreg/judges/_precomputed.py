"""A judge that returns recorded answers."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from .._data._json_ids import id_from_json
from .._utils._params import name_kind
from ._base import BaseJudge
from ._slate import Slate, check_candidates, check_ratings, check_slates

_LONGEST_LINE = 16 << 20  # bytes; records have a few hundred
_KEYS = ("user", "history", "candidates", "ratings")


@dataclass(frozen=True, eq=False)
class JudgedSlates:
    """Slates and their answers as arrays with one row per slate or per candidate.

    The candidates of slate s are the rows `indptr[s]` to `indptr[s + 1] - 1`, its history is
    `history[history_indptr[s]:history_indptr[s + 1]]`. Arrays of ids are int64 if all their ids
    are integers, else object; `history` and `candidates` have the same dtype.

    Attributes
    ----------
    user : ndarray of shape (n_slates,)
        User ids.
    history_indptr : ndarray of shape (n_slates + 1,), int64
        Boundaries of each slate's history.
    history : ndarray of shape (n_history_items,)
        Item ids, oldest first.
    indptr : ndarray of shape (n_slates + 1,), int64
        Boundaries of each slate's candidates.
    candidates : ndarray of shape (n_candidates,)
        Item ids, in the order of the slate's first answer.
    answers : ndarray of shape (n_candidates, max_answers), float64
        Ratings in [0, 1], one column per answer; NaN for no opinion and for slates with fewer
        answers.
    n_answers : ndarray of shape (n_slates,), int64
        Number of answers to each slate.
    ratings : ndarray of shape (n_candidates,), float64
        Mean rating of each candidate; NaN without ratings.
    rating_std : ndarray of shape (n_candidates,), float64
        Standard deviation of each candidate's ratings; NaN with fewer than two ratings.

    Examples
    --------
    >>> from sklearn_selreg.judges import PrecomputedJudge
    >>> asked = PrecomputedJudge([
    ...     {"user": 7, "history": [1], "candidates": [2, 3], "ratings": [0.75, 0.25]},
    ...     {"user": 8, "history": [], "candidates": [1, 3, 4], "ratings": [0.5, 1, None]},
    ... ]).judged_slates()
    >>> asked.user, asked.indptr, asked.candidates
    (array([7, 8]), array([0, 2, 5]), array([2, 3, 1, 3, 4]))
    >>> asked.ratings
    array([0.75, 0.25, 0.5 , 1.  ,  nan])
    """

    user: np.ndarray
    history_indptr: np.ndarray
    history: np.ndarray
    indptr: np.ndarray
    candidates: np.ndarray
    answers: np.ndarray
    n_answers: np.ndarray
    ratings: np.ndarray
    rating_std: np.ndarray


class PrecomputedJudge(BaseJudge):
    """Judge that returns recorded answers.

    Each record contains a `user` id, the item ids `history` (liked, oldest first) and `candidates`,
    and `ratings`: one number in [0, 1] per candidate, None or NaN for no opinion. Other keys are
    ignored. Records with the same user, history and *set* of candidates are several answers to one
    slate, e.g. for different candidate orders: their ratings are averaged, and their standard
    deviation is kept.

    The records are read when first needed, and again only if `judgments` is another object. They
    are not pickled unless they are the parameter itself.

    Parameters
    ----------
    judgments : str, path-like, list of dict, or DataFrame
        A JSON Lines file with one record per line (gzip-compressed if its name ends in `.gz`), a
        Parquet file (named `.parquet`; requires pyarrow), a list of records, or a pandas or polars
        DataFrame with one record per row.
    drawn : "otherwise" or "alike", default="otherwise"
        How the candidates of calibration slates were drawn. "alike" means that hidden likes were
        drawn by the same procedure as the others, as
        :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` does; use it for answers exported from a
        judge that it queried. "otherwise" means any other procedure, which the estimator infers.

    See Also
    --------
    sklearn_selreg.datasets.load_movielens_coldstart : Data set with 2,560 recorded answers.

    Examples
    --------
    >>> from sklearn_selreg.judges import PrecomputedJudge, Slate
    >>> judge = PrecomputedJudge([
    ...     {"user": 7, "history": [1], "candidates": [2, 3], "ratings": [0.75, 0.25]},
    ...     {"user": 7, "history": [1], "candidates": [3, 2], "ratings": [0.5, 1.0]},
    ... ])
    >>> judge.rate([Slate(user=7, history=[1], candidates=[2, 3])])
    [array([0.875, 0.375])]
    >>> judged = judge.judged_slates()
    >>> judged.candidates, judged.n_answers, judged.rating_std
    (array([2, 3]), array([2]), array([0.125, 0.125]))
    """

    is_recorded = True

    def __init__(self, judgments: object, drawn: str = "otherwise"):
        self.judgments = judgments
        self.drawn = drawn

    @property
    def _draws_alike(self):
        return self.drawn == "alike"

    def _check_parameters(self):
        if self.drawn not in ("otherwise", "alike"):
            raise ValueError(f"drawn must be 'otherwise' or 'alike'; got {self.drawn!r}.")

    def judged_slates(self) -> JudgedSlates:
        """Return all recorded slates with their answers.

        Returns
        -------
        judged : JudgedSlates
            Slates in order of first appearance.

        Raises
        ------
        FileNotFoundError
            If the file `judgments` does not exist.
        TypeError
            If `judgments` is neither a path, a list nor a DataFrame.
        ValueError
            If there are no records, or if a record is invalid: it is not a JSON object, lacks a
            key, has an id that is missing or not hashable, has duplicate candidates, or does not
            have one rating in [0, 1] per candidate. The message names the line, or the index of the
            record.
        """
        return self._load()[0]

    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Return the recorded ratings, averaged over answers; NaN for slates without a record.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, 1), float64
            Ratings in [0, 1]; NaN for no opinion.

        Raises
        ------
        TypeError, ValueError
            See :meth:`judged_slates`. TypeError also if `slates` is not an iterable of
            :class:`Slate`.
        """
        table, number_of = self._load()
        answers = []
        for slate in check_slates(slates):
            number = number_of.get(_slate_key(slate.user, slate.history, slate.candidates))
            ratings = np.full((len(slate.candidates), 1), np.nan)
            if number is not None:
                rows = slice(table.indptr[number], table.indptr[number + 1])
                rating = dict(zip(table.candidates[rows], table.ratings[rows], strict=True))
                ratings[:, 0] = [rating[candidate] for candidate in slate.candidates]
            answers.append(ratings)
        return answers

    def _load(self):
        """Return the table of slates and their indices by key, reading `judgments` once."""
        source, loaded = getattr(self, "_loaded", (None, None))
        if loaded is None or source is not self.judgments:
            loaded = _tabulate(_read(self.judgments))
            self._loaded = (self.judgments, loaded)
        return loaded

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_loaded", None)
        return state


def _slate_key(user, history, candidates):
    """Return the key of a slate, equal for records that belong to the same slate."""
    return user, tuple(history), frozenset(candidates)


def _read(judgments):
    """Yield (where, record), where the first is the location for error messages."""
    if isinstance(judgments, str | os.PathLike):
        path = Path(judgments)
        if path.suffix.lower() in (".parquet", ".pq"):
            yield from _read(_read_parquet(path))
        else:
            yield from _read_lines(path)
    elif isinstance(judgments, Sequence):
        yield from ((f"Record {i}", record) for i, record in enumerate(judgments))
    else:
        frame = nw.from_native(judgments, eager_only=True, pass_through=True)
        if not isinstance(frame, nw.DataFrame):
            raise TypeError(
                "judgments must be a path, a list of dict or a DataFrame; "
                f"got {name_kind(judgments)}."
            )
        _check_keys("The DataFrame", frame.columns)
        rows = frame.select(_KEYS).iter_rows()
        yield from ((f"Row {i}", dict(zip(_KEYS, row, strict=True))) for i, row in enumerate(rows))


def _read_parquet(path):
    """Read a Parquet file; requires pyarrow."""
    try:
        return pd.read_parquet(path, columns=list(_KEYS))
    except ImportError as error:
        raise ImportError(
            f"Reading {path} requires pyarrow, which is not installed: pip install pyarrow, or "
            "pass a DataFrame, e.g. polars.read_parquet(path)."
        ) from error
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a Parquet file: {error}") from None


def _read_lines(path):
    """Yield (where, record) for each non-blank line of a JSON Lines file.

    Some Windows programs write a byte order mark at the beginning of the file.
    """
    number = 0
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as lines:
            while line := lines.readline(_LONGEST_LINE + 1):
                number += 1
                where = f"Line {number} of {path}"
                if len(line) > _LONGEST_LINE:
                    raise ValueError(f"{where} is longer than {_LONGEST_LINE >> 20} MiB.")
                text = _decode_line(line, where, "utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield where, _parse_line(text, where)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is damaged after line {number}: {error}") from None


def _decode_line(line, where, encoding):
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} must be UTF-8 text; got other bytes ({error}). Convert the file, e.g. by "
            'path.write_text(path.read_text(encoding="utf-16"), encoding="utf-8").'
        ) from None


def _parse_line(text, where):
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{where} cannot be parsed: the JSON is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from None


def _check_keys(where, keys):
    """Raise ValueError if keys are missing."""
    missing = [key for key in _KEYS if key not in keys]
    if missing:
        raise ValueError(
            f"{where} must have the keys {list(_KEYS)}; got {list(keys)}, without {missing}."
        )


def _tabulate(records):
    """Validate records and group them by slate.

    Parameters
    ----------
    records : iterable of (str, dict)
        Location for error messages, and record.

    Returns
    -------
    table : JudgedSlates
        Slates in order of first appearance.
    number_of : dict
        Index of each slate in `table`, by its `_slate_key`.
    """
    number_of, users, histories, candidates, answers = {}, [], [], [], []
    for where, record in records:
        key, record_candidates, ratings = _check_record(where, record)
        number = number_of.setdefault(key, len(number_of))
        if number == len(users):
            users.append(key[0])
            histories.append(key[1])
            candidates.append(record_candidates)
            answers.append([ratings])
        else:
            rating = dict(zip(record_candidates, ratings, strict=True))
            answers[number].append([rating[candidate] for candidate in candidates[number]])
    if not users:
        raise ValueError("judgments must contain at least one record; got none.")

    indptr = _indptr(candidates)
    n_answers = np.array([len(a) for a in answers])
    padded = np.full((indptr[-1], n_answers.max()), np.nan)
    for start, stop, slate_answers in zip(indptr[:-1], indptr[1:], answers, strict=True):
        padded[start:stop, : len(slate_answers)] = np.transpose(slate_answers)
    mean, deviation = mean_and_deviation(padded)

    history_indptr = _indptr(histories)
    items = _id_array([item for ids in (*histories, *candidates) for item in ids])
    table = JudgedSlates(
        user=_id_array(users),
        history_indptr=history_indptr,
        history=items[: history_indptr[-1]],
        indptr=indptr,
        candidates=items[history_indptr[-1] :],
        answers=padded,
        n_answers=n_answers,
        ratings=mean,
        rating_std=deviation,
    )
    return table, number_of


def _check_record(where, record):
    """Return the slate key, candidates and ratings of a record, after validation."""
    if not isinstance(record, Mapping):
        raise ValueError(f"{where} must be an object with the keys {list(_KEYS)}; got {record!r}.")
    _check_keys(where, record)
    try:
        user = _id(record["user"])
        history = _id_tuple("history", record["history"])
        candidates = _id_tuple("candidates", record["candidates"])
        _check_ids((user, *history, *candidates))
        check_candidates(candidates)
        ratings = check_ratings(record["ratings"], len(candidates))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return _slate_key(user, history, candidates), candidates, ratings


def _id_tuple(name, ids):
    """Return a list-like of ids as a tuple."""
    if isinstance(ids, np.ndarray):
        ids = ids.tolist()
    if not isinstance(ids, list | tuple):
        raise ValueError(f"{name} must be a list of item ids; got {ids!r}.")
    return tuple(map(_id, ids))


def _id(value):
    """Return an id, decoding types without JSON equivalent; see `LLMJudge.export`."""
    return id_from_json(value) if isinstance(value, dict) else value


def _check_ids(ids):
    """Raise ValueError if an id is missing or not hashable."""
    try:
        hash(ids)
    except TypeError as error:
        raise ValueError(f"ids must be hashable; got an {error}.") from None
    missing = pd.isna(np.fromiter(ids, dtype=object, count=len(ids)))
    if missing.any():
        raise ValueError(f"ids must not be missing; got {ids[missing.argmax()]!r}.")


def _indptr(sequences):
    """Return the boundaries of the sequences in their concatenation."""
    return np.cumsum([0, *(len(sequence) for sequence in sequences)])


def _id_array(ids):
    """Return ids as an int64 array if possible, else as an object array."""
    array = np.fromiter(ids, dtype=object, count=len(ids))
    if pd.api.types.infer_dtype(array) != "integer":
        return array
    with suppress(OverflowError):  # >= 2**63, from databases with unsigned ids
        return array.astype(np.int64)
    return array


def stack_answers(answers):
    """Stack the answers to several slates vertically.

    Parameters
    ----------
    answers : list of ndarray of shape (n_candidates, n_answers)

    Returns
    -------
    stacked : ndarray of shape (all candidates, max_answers), float64
        Padded with NaN for slates with fewer answers.
    """
    most = max((a.shape[1] for a in answers), default=1)
    padded = [np.pad(a, ((0, 0), (0, most - a.shape[1])), constant_values=np.nan) for a in answers]
    return np.concatenate([np.empty((0, most)), *padded])


def mean_and_deviation(answers):
    """Return the mean and standard deviation of each row, ignoring NaN.

    Parameters
    ----------
    answers : ndarray of shape (n_rows, n_columns), float64

    Returns
    -------
    mean : ndarray of shape (n_rows,), float64
        NaN for rows without numbers.
    deviation : ndarray of shape (n_rows,), float64
        Population standard deviation (ddof=0); NaN for rows with fewer than two numbers.
    """
    count = np.sum(~np.isnan(answers), axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 gives the desired NaN
        mean = np.nansum(answers, axis=1) / count
        variance = np.nansum((answers - mean[:, np.newaxis]) ** 2, axis=1) / count
    return mean, np.where(count > 1, np.sqrt(variance), np.nan)
