"""Comparison of model names."""

import re

# A date, version or tag after a model's name; sizes such as "-8b" denote other models.
_VERSION = re.compile(r"[:@].*|-\d[\d.-]*|-latest|-preview.*")


def same_model(asked, told):
    """Whether a reported model name may denote the requested model.

    Folders, file extensions and trailing dates, versions and tags are ignored: `llama3.2` matches
    `llama3.2:latest`, and `gemma.gguf` matches `/models/gemma.gguf`.

    Parameters
    ----------
    asked, told : str

    Returns
    -------
    same : bool
    """
    short, long = sorted((_plain(asked), _plain(told)), key=len)
    return long.startswith(short) and (
        long == short or _VERSION.fullmatch(long[len(short) :]) is not None
    )


def _plain(name):
    return re.split(r"[/\\]", name.strip().rstrip("/"))[-1].lower().removesuffix(".gguf")
