"""A judge that compares texts."""

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
    """Judge that rates items by how similar their texts are to those of the history.

    It needs no network and no key: for trying things, for tests, and as a baseline that an LLM
    should beat. The rating is the mean cosine similarity to the items of the history, cut at 0. Do
    not expect it to improve a model that has the same texts as item features.

    Parameters
    ----------
    vectorizer : transformer, encoder, callable or None, default=None
        Makes vectors of a list of texts: a scikit-learn transformer, fitted or not; an object with
        a method `encode`, as the models of sentence-transformers; or a function that returns an
        array of shape (n_texts, n_columns). None: TF-IDF of the words. A transformer that is not
        fitted is fitted on each slate's own texts, so that an answer depends only on its slate.
    verbose : int, default=0
        Above 0: a progress bar over the slates.

    See Also
    --------
    AnthropicJudge, OpenAIJudge : Judges that know what items are.

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
    """Return the mean cosine of each candidate with the history; NaN where texts say nothing."""
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
    """Return a function from a list of texts to an array or sparse matrix of vectors."""
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
        f"function of a list of texts; got {vectorizer!r}."
    )


def _checked(encode):
    def vectorize(texts):
        with config_context(transform_output="default"):  # frames cannot hold sparse vectors
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
