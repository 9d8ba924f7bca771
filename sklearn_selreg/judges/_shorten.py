"""Prompts that are too long for a service, shortened."""

from ._prompt import clean_text, slate_texts
from ._slate import Slate

_LEAST_CHARS = 20  # of an item's text; a shorter one says too little
_MARGIN = 0.9  # tokens and characters do not go together exactly


def shortened(slate, judge, failure):
    """Return a slate whose prompt fits, with less of the history or shorter texts.

    The oldest items of the history go first, then all texts are cut alike.

    Parameters
    ----------
    slate : Slate
    judge : LiveJudge
    failure : TooLong
        What the service said. If it did not say how long is too long, half is tried.

    Returns
    -------
    slate : Slate or None
        None if too little would be left.
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
