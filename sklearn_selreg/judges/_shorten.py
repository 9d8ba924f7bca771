"""Shortening of prompts that exceed the context length of a service."""

from ._prompt import clean_text, slate_texts
from ._slate import Slate

_LEAST_CHARS = 20  # per item text; shorter texts are not informative enough
_MARGIN = 0.9  # as the number of tokens is not exactly proportional to that of characters


def shortened(slate, judge, failure):
    """Return a slate whose prompt fits, with a shorter history or shorter texts.

    The oldest items of the history are dropped first, then all texts are truncated equally.

    Parameters
    ----------
    slate : Slate
    judge : LiveJudge
    failure : TooLong
        Error of the service. If it does not include the limit, the prompt is halved.

    Returns
    -------
    slate : Slate or None
        None if the texts would become too short.
    """
    share = _MARGIN * failure.limit / failure.n_tokens if failure.limit else 0.5
    history, candidates = (
        [clean_text(text, judge.max_item_chars) for text in texts] for texts in slate_texts(slate)
    )
    system, message, _ = judge._instructions(slate)
    left = sum(map(len, history + candidates)) - (1 - share) * len(system + message)
    ids = list(slate.history)
    while len(history) > 1 and sum(map(len, history + candidates)) > left:
        del history[0], ids[0]
    if sum(map(len, history + candidates)) > left:
        n_chars = int(left / len(history + candidates))
        if n_chars < _LEAST_CHARS:
            return None
        history = [clean_text(text, n_chars) for text in history]
        candidates = [clean_text(text, n_chars) for text in candidates]
    return Slate(slate.user, ids, slate.candidates, history, candidates)
