"""Whether two names stand for one model."""

import re

# A date, version or tag after a model's name; sizes such as "-8b" are other models.
_VERSION = re.compile(r"[:@].*|-\d[\d.-]*|-latest|-preview.*")


def same_model(asked, told):
    """Whether the name that a service tells may be the model that was asked for.

    Folders and file endings do not count, nor do dates, versions and tags at the end:
    `llama3.2` is `llama3.2:latest`, and `gemma.gguf` is `/models/gemma.gguf`.

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
