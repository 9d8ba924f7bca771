import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_selreg.judges import ContentJudge, Slate
from sklearn_selreg.judges.testing import JudgeContract

WORDS = ["red wine", "white wine", "oak table", "wine glass", "glass table", "green tea"]


class TestContentJudge(JudgeContract):
    def make_judge(self):
        return ContentJudge()


def lengths(texts):
    return [[len(text), text.count("e"), 1] for text in texts]


def cosine(vectors, n_history):
    """Mean cosine similarity of the rows after the first `n_history` with these."""
    vectors = np.asarray(vectors, dtype=float)
    return [
        np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors[:n_history]])
        for a in vectors[n_history:]
    ]


def make_slate(n_history=2):
    n = range(len(WORDS))
    return Slate(1, n[:n_history], n[n_history:], WORDS[:n_history], WORDS[n_history:])


class Encoder:
    def encode(self, texts):
        return np.array(lengths(texts), dtype=np.float32)


@pytest.mark.parametrize(
    ("vectorizer", "vectors"),
    [
        (None, TfidfVectorizer(sublinear_tf=True).fit_transform(WORDS).toarray()),
        (TfidfVectorizer(), TfidfVectorizer().fit_transform(WORDS).toarray()),
        (lengths, lengths(WORDS)),
        (Encoder(), lengths(WORDS)),
    ],
)
def test_ratings_are_mean_cosines(vectorizer, vectors):
    ratings = ContentJudge(vectorizer).rate([make_slate()])[0]
    np.testing.assert_allclose(ratings, cosine(vectors, 2), rtol=1e-6)


def test_a_fitted_vectorizer_is_used_as_it_is():
    fitted = TfidfVectorizer().fit([*WORDS, *["wine"] * 50])
    ratings = ContentJudge(fitted).rate([make_slate()])[0]
    np.testing.assert_allclose(ratings, cosine(fitted.transform(WORDS).toarray(), 2))


def test_opposite_is_0_and_stateless_vectorizers_serve():
    ratings = ContentJudge(lambda t: [[1, 0], [-1, 0], [1, 1]]).rate(
        [Slate(1, [1], [2, 3], ["a"], ["b", "c"])]
    )[0]
    np.testing.assert_allclose(ratings, [0, np.sqrt(0.5)])
    assert ContentJudge(HashingVectorizer()).rate([make_slate()])[0].shape == (4,)


@pytest.mark.parametrize(
    "slate",
    [
        Slate(1, [], [2, 3], [], ["red wine", "tea"]),
        Slate(1, [1], [2, 3], ["!"], ["?", "..."]),
        Slate(1, [1], [2, 3], ["!"], ["red", "wine"]),
    ],
)
def test_no_opinion_without_text(slate):
    assert np.isnan(ContentJudge().rate([slate])[0]).all()


def test_no_opinion_on_an_item_without_text():
    ratings = ContentJudge().rate([Slate(1, [1], [2, 3], ["wine"], ["", "red wine"])])[0]
    assert np.isnan(ratings[0])
    assert ratings[1] > 0


def test_what_is_no_vectorizer_is_named():
    with pytest.raises(TypeError, match=r"vectorizer must be .*; got 3"):
        ContentJudge(3).rate([make_slate()])
    with pytest.raises(ValueError, match=r"each of the 6 texts; got an array of shape \(1, 1\)"):
        ContentJudge(lambda texts: [[1]]).rate([make_slate()])


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_frames_as_the_output_of_transformers_change_nothing(output):
    texts = ["red wine", "white wine", "a glass for red wine", "cheese"]
    slate = Slate(7, [1], [2, 3, 4], texts[:1], texts[1:])
    for vectorizer in (None, make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))):
        expected = ContentJudge(vectorizer).rate([slate])
        with sklearn.config_context(transform_output=output):
            fitted = None if vectorizer is None else clone(vectorizer).fit(texts)
            found = ContentJudge(vectorizer).rate([slate])
            ContentJudge(fitted).rate([slate])
        np.testing.assert_allclose(found, expected)
