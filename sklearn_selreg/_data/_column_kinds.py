"""Kinds of columns: which encoding suits numbers, categories, lists, texts, vectors ..."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from .._utils._warn import warn
from ._column_values import content_type, dates_to_numbers, read_numbers, read_strings
from ._numbers import is_number, read_number
from ._vectors import as_vectors, reason_not_vectors

# Numbers with at most this many distinct values are categories.
_FEW_VALUES = 10
# In smaller tables, short distinct texts and sorted integers do not count as identifiers.
_MIN_ROWS_OF_IDENTIFIERS = 20
# If there are more columns of numbers and flags than this, they are encoded as one block.
_MANY_NUMBERS = 30
# Numbers, optionally with a thousands separator, a currency or a percent sign.
_WRITTEN_NUMBER = (
    r"\s*[-+]?(?:[A-Z]{{0,3}}[$€£¥]|[A-Z]{{3}}(?=\s))?\s?[-+]?"
    r"(?:\d{{1,3}}(?:{thousands}\d{{3}})+|\d+)(?:{decimal}\d+)?(?:\s?[$€£¥%]|\s[A-Z]{{3}})?\s*"
)
_WITH_POINT = _WRITTEN_NUMBER.format(thousands=",", decimal=r"\.")
_WITH_COMMA = _WRITTEN_NUMBER.format(thousands=r"\.", decimal=",")
# Lists of decimal numbers, as lists and arrays appear in CSV files.
_WRITTEN_VECTOR = r"(?s)\s*[\[(](?=.*[.e])[-+.,\d\se]+[\])]\s*"
# Prices such as "12,50", without currency or thousands separator.
_PRICE = re.compile(r"\s*[-+]?(\d+),\d{2}\s*")
_PRICE_OR_WHOLE = r"\s*[-+]?\d+(?:,\d{2})?\s*"
# Dates such as "2026-11-28", "28.11.2026" and "11/28/26 10:30", and numbers such as "12,5".
_DATE = r"\s*(?:\d{4}-\d\d?-\d\d?(?:[T ].*)?|\d\d?([./-])\d\d?\1\d{2,4}(?: .*)?)\s*"
_COMMA_NUMBER = r"\s*[-+]?\d{1,3}(?:\.\d{3})*,\d{1,2}\s*"
_MOSTLY = 0.5
# Without any of these, numbers may be codes or lists of codes.
_SIGNS_OF_POINT, _SIGNS_OF_COMMA = r"[.,$€£¥%A-Z]", r"\..*,|[$€£¥%A-Z]"
# Text is a category if repeated values fill at least this fraction of the rows.
_MIN_REPEATED = 0.25
# Text is a list if its separator occurs in at least this fraction of the values, ...
_MIN_SEPARATED = 0.2
# ... and if repeated entries make up at least this fraction of the text: prose has commas, too.
_MIN_SHARED = {"|": 0.2, ";": 0.2, ",": 0.5}
# Joins the entries of columns that hold Python lists (the "unit separator" of ASCII).
UNIT_SEPARATOR = "\x1f"


class ColumnKind(NamedTuple):
    """How a column is encoded.

    Attributes
    ----------
    kind : str
        "list", "category", "number", "text", "vector", "plain number", "plain flag" or "dropped".
    detail : str
        Separator of a list, decimal separator of numbers written as text, or reason for dropping
        the column; else "".
    """

    kind: str
    detail: str = ""


def column_kinds(frame: pd.DataFrame, min_count: int) -> dict[str, ColumnKind]:
    """Choose the kind of each column (see :class:`AutoItemEncoder`).

    Parameters
    ----------
    frame : DataFrame
        Columns as passed by the user.
    min_count : int
        Minimum number of rows for an entry or a category to become a feature.

    Returns
    -------
    dict of str to ColumnKind
    """
    numbers = {name for name in frame.columns if is_number(frame[name])}
    dates = {n for n in frame.columns if n not in numbers and content_type(frame[n]) == "date"}
    plain = set().union(*(names for names in (numbers, dates) if len(names) > _MANY_NUMBERS))
    return {
        name: _plain_kind(dates_to_numbers(frame[[name]])[name])
        if name in plain
        else _column_kind(frame[name], min_count)
        for name in frame.columns
    }


def _plain_kind(column):
    """Choose the kind of one of many columns of numbers."""
    numbers = read_number(column)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return ColumnKind("dropped", "no values")
    low, high = present.min(), present.max()
    if low == high and len(present) == len(numbers):
        return ColumnKind("dropped", "constant")
    if low >= 0 and high <= 1 and ((present == 0) | (present == 1)).all():
        return ColumnKind("plain flag")
    if _are_row_numbers(numbers):
        return ColumnKind("dropped", "identifiers")
    return ColumnKind("plain number")


def _column_kind(values, min_count):
    """Choose the kind of a column."""
    content = content_type(values)
    if content == "nothing":
        return ColumnKind("dropped", "no values")
    if content == "vector":
        if as_vectors(values) is None:
            return ColumnKind("dropped", reason_not_vectors(values))
        return ColumnKind("vector")
    if content not in ("number", "date", "text", "flag", "interval", "list"):
        return ColumnKind("dropped", f"values of type {content}")
    strings = read_strings(values, UNIT_SEPARATOR)
    if strings.nunique(dropna=False) == 1:
        return ColumnKind("dropped", "constant")
    common = max(2, min_count)
    # Checked before identifiers, since lists of codes without spaces resemble them.
    written = _written_kind(strings, common) if content == "text" else None
    if written is not None:
        return written
    if content == "text":
        _warn_of_form(strings.dropna())
    if is_identifier(values):
        return ColumnKind("dropped", "identifiers")
    if content in ("number", "date"):
        return ColumnKind(_category_or_number(strings))
    if content == "list":
        if _shared_fraction(strings, UNIT_SEPARATOR, common) == 0:
            return ColumnKind("dropped", "lists that share no entries")
        return ColumnKind("list", UNIT_SEPARATOR)
    counts = strings.value_counts()
    repeated = counts[counts >= common].sum()
    if content in ("flag", "interval") or repeated >= _MIN_REPEATED * counts.sum():
        return ColumnKind("category")
    if counts.sum() < min_count:
        return ColumnKind("dropped", f"fewer than {min_count} values, none repeated")
    return ColumnKind("text")


def _written_kind(strings, common):
    """Choose the kind of vectors, numbers or lists written as text; None for other text."""
    if _all_match(_WRITTEN_VECTOR, strings.dropna()):
        return ColumnKind("dropped", "vectors written as text: parse them by .map(json.loads)")
    separator, decimal = _separator(strings, common), _decimal_separator(strings)
    if separator == "," and decimal is None and _may_be_decimal(strings.dropna()):
        _warn_of_commas(strings, "is read as lists, because its values could also be codes")
    if decimal is not None and not (separator == "," and _are_codes_of_three(strings)):
        return ColumnKind(_category_or_number(strings), decimal)
    return None if separator is None else ColumnKind("list", separator)


def _warn_of_form(strings):
    """Warn about text that looks like dates, or like numbers that cannot be told from codes."""
    if _all_match(_DATE, strings):
        warn(
            f"Column {strings.name!r} looks like dates, but is text (e.g. {strings.iloc[0]!r}), "
            "and is not read as dates. Convert it first, e.g. with pandas.to_datetime; pass "
            "dayfirst=True if the day comes first."
        )
    elif strings.str.fullmatch(_COMMA_NUMBER).mean() > _MOSTLY:
        _warn_of_commas(strings, "not clearly enough to be read as such")


def _may_be_decimal(strings):
    """Return whether lists separated by commas could also be numbers with decimal commas."""
    return _are_mostly_prices(strings) or strings.str.fullmatch(_COMMA_NUMBER).all()


def _warn_of_commas(strings, but):
    """Warn about possible decimal commas that are not read as such."""
    warn(
        f"Column {strings.name!r} looks like numbers with decimal commas, but {but}. If they are "
        "numbers, convert the column first, e.g. by .str.replace(',', '.').astype(float)."
    )


def _category_or_number(strings):
    return "category" if strings.nunique() <= _FEW_VALUES else "number"


def _separator(strings, common):
    """Return the separator of entries if the texts are lists, else None."""
    for separator, min_shared in _MIN_SHARED.items():
        is_separated = strings.str.contains(separator, regex=False, na=False)
        if (
            is_separated.sum() >= _MIN_SEPARATED * strings.count()
            and _shared_fraction(strings, separator, common) >= min_shared
        ):
            return separator
    return None


def _shared_fraction(strings, separator, common):
    """Return the fraction of the text in entries that occur in `common` or more rows."""
    entries = strings.str.findall(entry_pattern(separator)).explode().rename("entry")
    counts = entries.reset_index().drop_duplicates()["entry"].value_counts()
    characters = counts * counts.index.str.len()
    return characters[counts >= common].sum() / max(1, characters.sum())


def entry_pattern(separator: str) -> str:
    """Return the pattern of a list entry, without surrounding blanks, brackets and quotes."""
    separator = re.escape(separator)
    edge = rf"[^{separator}\s\[\]'\"]"
    return rf"{edge}(?:[^{separator}]*{edge})?"


def is_identifier(values: pd.Series) -> bool:
    """Return whether values only identify their rows: non-repeating codes, or row numbers."""
    present = values.dropna()
    if len(present) <= _MIN_ROWS_OF_IDENTIFIERS:
        return False
    content = content_type(values)
    if content == "number":
        return _are_row_numbers(read_numbers(values))
    if content != "text":
        return False
    # ASCII only: text in languages written without spaces is not a code.
    strings = read_strings(present)
    return (
        strings.nunique() > 0.9 * len(strings)
        and _all_match(r"[!-~]+", strings)
        and _decimal_separator(strings) is None
    )


def _are_row_numbers(numbers):
    """Return whether numbers are whole and strictly increasing, like row numbers."""
    if len(numbers) <= _MIN_ROWS_OF_IDENTIFIERS:
        return False
    return bool((np.diff(numbers) > 0).all() and (numbers % 1 == 0).all())


def _decimal_separator(strings):
    """Return the decimal separator of numbers written as text; None for other text.

    Plain integers do not count, nor does "4,5" unless other values have a currency or thousands
    separator; "4,50" does if most values are such prices.
    """
    present = strings.dropna()
    for decimal, form, signs in (
        (".", _WITH_POINT, _SIGNS_OF_POINT),
        (",", _WITH_COMMA, _SIGNS_OF_COMMA),
    ):
        if _all_match(form, present) and present.str.contains(signs, regex=True).any():
            return decimal
    return "," if _are_mostly_prices(present) and _all_match(_PRICE_OR_WHOLE, present) else None


def _are_mostly_prices(strings):
    """Return whether most strings are prices such as "12,50", of different lengths."""
    prices = [price for price in map(_PRICE.fullmatch, strings) if price]
    # Two numbers of equal length could also be codes.
    return len(prices) > len(strings) / 2 and len({len(price[1]) for price in prices}) > 1


def is_written_number(text: str, decimal: str) -> bool:
    """Return whether a text is a number with the given decimal separator, "." or ","."""
    return re.fullmatch(_WITH_POINT if decimal == "." else _WITH_COMMA, text) is not None


def _are_codes_of_three(strings):
    """Return whether numbers such as "107,138" may be lists of three-digit codes.

    They are if some start with a zero, unlike numbers, or if no later entry does.
    """
    present = strings.dropna()
    if not _all_match(r"\s*\d{3}(?:,\d{3})*\s*", present):
        return False
    return bool(present.str.match(r"\s*0").any() or not present.str.contains(",0").any())


def _all_match(pattern, strings):
    """Return whether a pattern matches all strings; stops at the first mismatch."""
    return all(map(re.compile(pattern).fullmatch, strings))
