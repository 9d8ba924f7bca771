"""A judge based on text similarity."""

import numpy as np
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from ._llm import LLMJudge
from ._prompt import slate_texts


class ContentJudge(LLMJudge):
    """Judge that rates items by the similarity of their texts to those of the history.

    It needs neither network nor API key: use it for dry runs and tests, and as a baseline that an
    LLM should beat. The rating is the mean cosine similarity to the items of the history, clipped
    at 0. Do not expect it to improve a model that uses the same texts as item features.

    Parameters
    ----------
    vectorizer : transformer, encoder, callable or None, default=None
        Maps a list of texts to vectors: a scikit-learn transformer, an object with a method
        `encode`, such as a sentence-transformers model, or a function that returns an array of
        shape (n_texts, n_columns). If None, TF-IDF of words. An unfitted transformer is fitted to
        the texts of each slate, so that an answer depends only on its slate.
    verbose : int, default=0
        If positive, show a progress bar over slates.

    See Also
    --------
    AnthropicJudge, OpenAIJudge : Judges that use an LLM's knowledge of the items.

    Examples
    --------
    >>> from sklearn_selreg.judges import ContentJudge, Slate
    >>> slate = Slate(7, [1], [2, 3], ["dry red wine"], ["red wine", "oak table"])
    >>> ContentJudge().rate([slate])[0].round(2)
    array([0.73, 0.  ])
    """

    reads_texts = True

    def __init__(self, vectorizer: object = None, verbose: int = 0):
        self.vectorizer = vectorizer
        self.verbose = verbose

    def _rate(self, slates):
        vectorize = _vectorize_by(self.vectorizer)
        for slate in slates:
            history, candidates = slate_texts(slate)
            yield _similarity(vectorize, history, candidates)


def _similarity(vectorize, history, candidates):
    """Mean cosine similarity of each candidate to the history; NaN for empty vectors."""
    nothing = np.full(len(candidates), np.nan)
    if not history:
        return nothing
    try:
        vectors = normalize(vectorize(history + candidates))
    except ValueError as error:
        if "empty vocabulary" in str(error):
            return nothing
        raise
    liked = np.asarray(vectors[: len(history)].sum(axis=0)).ravel()
    said = np.asarray(abs(vectors[: len(history)]).sum(axis=1)).ravel() > 0
    if not said.any():
        return nothing
    rest = vectors[len(history) :]
    ratings = np.clip(np.asarray(rest @ liked).ravel() / said.sum(), 0, 1)
    ratings[np.asarray(abs(rest).sum(axis=1)).ravel() == 0] = np.nan
    return ratings


def _vectorize_by(vectorizer):
    """Return a function that maps a list of texts to an array or sparse matrix of vectors."""
    if vectorizer is None:
        vectorizer = TfidfVectorizer(
            sublinear_tf=True, strip_accents="unicode", token_pattern=r"(?u)\b\w+\b"
        )
    if hasattr(vectorizer, "encode"):
        return _checked(vectorizer.encode)
    if hasattr(vectorizer, "fit_transform") and hasattr(vectorizer, "transform"):
        try:
            check_is_fitted(vectorizer)
        except NotFittedError:
            return _checked(lambda texts: clone(vectorizer).fit_transform(texts))
        return _checked(vectorizer.transform)
    if callable(vectorizer):
        return _checked(vectorizer)
    raise TypeError(
        "vectorizer must be a scikit-learn transformer, an object with a method `encode`, or a "
        f"function that takes a list of texts; got {vectorizer!r}."
    )


def _checked(encode):
    def vectorize(texts):
        with config_context(transform_output="default"):  # DataFrames do not support sparse output
            vectors = encode(texts)
        if not sp.issparse(vectors):
            vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.ndim != 2 or vectors.shape[0] != len(texts):
            raise ValueError(
                f"vectorizer must return one row of numbers for each of the {len(texts)} texts; "
                f"got an array of shape {vectors.shape}."
            )
        return vectors

    return vectorize
