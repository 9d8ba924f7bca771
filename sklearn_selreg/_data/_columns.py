"""What columns of an item table hold: numbers, dates, categories, lists, texts, identifiers."""

import datetime
import re
from contextlib import suppress

import numpy as np
import pandas as pd

from ._dense import as_vectors, check_finite_numbers, is_number, read_number, why_no_vectors

# Numbers with at most this many distinct values are categories.
_FEW_VALUES = 10
# In smaller tables, short distinct texts and sorted integers are not taken for identifiers.
_MIN_ROWS_OF_IDENTIFIERS = 20
# More columns of numbers and flags than this are taken as they are, as one block.
_MANY_NUMBERS = 30
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
UNIT_SEPARATOR = "\x1f"
# Words of a text must occur in this share of the rows: rarer ones name items, not kinds of items.
TEXT_SHARE = 0.02
DIGIT = re.compile(r"\d")
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])")


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
    >>> from sklearn_selreg._data._columns import item_texts
    >>> from sklearn_selreg._data._item_table import read_item_data
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
        values = read_strings(frame[name]).str.replace(r"\s+", " ", regex=True).str.strip()
        texts += (f"{name}: " + values + "; ").fillna("")
    return texts.str.removesuffix("; ").to_numpy(dtype=object)


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


def column_kinds(frame, min_count):
    """Choose the kinds of all columns, name -> (kind, detail); see `_column_kind`."""
    numbers = {name for name in frame.columns if is_number(frame[name])}
    dates = {n for n in frame.columns if n not in numbers and _value_type(frame[n]) == "date"}
    quick = set().union(*(some for some in (numbers, dates) if len(some) > _MANY_NUMBERS))
    return {
        name: _number_kind(dates_as_numbers(frame[[name]])[name])
        if name in quick
        else _column_kind(frame[name], min_count)
        for name in frame.columns
    }


def with_numbers(frame):
    """Return a frame in which numbers as objects, such as Decimals, have a dtype of numbers."""
    objects = [name for name in frame.columns if frame[name].dtype == object]
    numbers = [name for name in objects if _value_type(frame[name]) == "number"]
    return (
        frame.assign(**{name: read_numbers(frame[name]) for name in numbers}) if numbers else frame
    )


def dates_as_numbers(frame):
    """Return columns of numbers and dates as columns of numbers."""
    dates = [name for name in frame.columns if not is_number(frame[name])]
    return frame.assign(**{name: read_numbers(frame[name]) for name in dates}) if dates else frame


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
    strings = read_strings(values, UNIT_SEPARATOR)
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
        shared = _shared_entries(strings, UNIT_SEPARATOR, common) > 0
        return ("list", UNIT_SEPARATOR) if shared else ("dropped", "lists that share no entries")
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
    entries = strings.str.findall(entry_pattern(separator)).explode().rename("entry")
    counts = entries.reset_index().drop_duplicates()["entry"].value_counts()
    characters = counts * counts.index.str.len()
    return characters[counts >= common].sum() / max(1, characters.sum())


def entry_pattern(separator):
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
        return _are_row_numbers(read_numbers(values))
    if value_type != "text":
        return False
    # Printable ASCII without spaces: languages written without spaces are no codes.
    strings = read_strings(present)
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
            numbers = read_numbers(values.dropna())
            return bool((numbers % 1 == 0).all()) and not _is_identifier(values)
        case "text":
            return not (
                _is_identifier(values) and _are_links_or_codes(read_strings(values).dropna())
            )
        case value_type:
            return value_type in ("date", "flag", "list")


def read_numbers(values, decimal="."):
    """Read numbers, or dates as decimal years (UTC): float64 of shape (n,), NaN where missing.

    In texts `decimal` is what stands before the decimals, "." or ",".
    """
    match _value_type(values):
        case "date":
            days = _timestamps(values) - np.datetime64(0, "us")
            return 1970 + days / np.timedelta64(1, "us") / (365.2425 * 86_400e6)
        case "text":
            thousands = "," if decimal == "." else "."
            written = read_strings(values).str.replace(rf"[{thousands}$€£¥%A-Z\s]", "", regex=True)
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


def read_strings(values, joint=", "):
    """Write values as people do: an object Series of str, NaN where missing or blank.

    Whole numbers have no decimal point, dates no time of day at midnight; lists are joined by
    `joint`.
    """
    present = values.dropna()
    match _value_type(values):
        case "number":
            texts = pd.Series(read_numbers(present), index=present.index).map("{:.15g}".format)
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
