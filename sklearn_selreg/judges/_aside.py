"""JSON Lines files for answers that cannot be written to the cache yet."""

import hashlib
import json
import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ._cache_file import private_opener

_FIELDS = ("problem", "max_tokens", "model", "address", "again")  # of an Answer, except ratings


def files_aside(path):
    """Return all files with answers that belong to a cache."""
    files = []
    for folder in _folders(path):
        with suppress(OSError):
            files += folder.glob(f"{_prefix(path)}-*.jsonl")
    return files


def put_aside(path, owner, answers, file=None):
    """Write answers to a separate file.

    Parameters
    ----------
    path : Path
        Path of the cache.
    owner : str
        Random name of the cache's owner.
    answers : dict of str to (str, Answer, dict of str to int)
        Judge, answer and increments of the totals by key.
    file : Path or None
        File with earlier answers.

    Returns
    -------
    file : Path or None
        None if no folder is writable.
    """
    files = [folder / _name(path, owner) for folder in _folders(path)]
    for place in files if file is None else [file]:
        try:
            n_bytes = place.stat().st_size if place.exists() else 0
            with open(place, "a", encoding="utf-8", opener=private_opener) as lines:
                lines.write(_as_lines(answers))
        except OSError:
            with suppress(OSError):  # remove the incomplete line
                os.truncate(place, n_bytes)
                if not n_bytes:
                    place.unlink()
        else:
            return place
    return None


def read_aside(file):
    """Return the answers in a file, a list of (key, judge, fields of the answer, counts)."""
    if os.name == "posix" and os.stat(file).st_uid != os.getuid():
        return []  # other users may write to the temporary folder
    records = []
    for line in file.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            record = json.loads(line)
            ratings = [math.nan if r is None else float(r) for r in record["ratings"]]
            counts = {str(name): int(value) for name, value in record["counts"].items()}
            fields = {name: record.get(name) for name in _FIELDS if name in record}
            fields["ratings"] = ratings
            records.append((record["key"], record["judge"], fields, counts))
    return records


def told_aside(path, owner, answers, file):
    """Return the message about unsaved answers at the end of the process."""
    message = f"sklearn_selreg: {len(answers)} answers could not be written to {path}"
    if file is not None:
        return f"{message}. They were saved to {file} and are read when that cache is next opened."
    return (
        f"{message} or elsewhere. Save the following lines as "
        f"{path.parent / _name(path, owner)}; they are read when that cache is next opened.\n"
        f"{_as_lines(answers)}"
    )


def _prefix(path):
    return f"sklearn_selreg-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def _name(path, owner):
    return f"{_prefix(path)}-{owner}.jsonl"


def _folders(path):
    folders = [path.parent, Path(tempfile.gettempdir())]
    with suppress(RuntimeError):  # no home directory
        folders.append(Path.home())
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _as_lines(answers):
    lines = []
    for key, (judge, answer, counts) in answers.items():
        ratings = [None if math.isnan(rating) else float(rating) for rating in answer.ratings]
        record = {"key": key, "judge": judge, "ratings": ratings, "counts": counts}
        lines.append(json.dumps(record | {n: getattr(answer, n) for n in _FIELDS}) + "\n")
    return "".join(lines)
