"""The estimator: it conducts, the other modules play."""

import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from ._als import SlateTerms, top_k
from ._backbone import ALSBackbone, with_bias
from ._evidence import cross_fitted_scores, slate_scores
from ._gate import ReliabilityGate
from ._interactions import encode, index_interactions, read_columns, read_strengths
from ._items import encode_items, read_item_data
from ._slates import compare_candidates, place_slates
from .judges import LLMJudge
from .metrics import mean_ndcg

_DEFAULTS = {"factors": 64, "regularization": 60.0, "alpha": 14.0, "iterations": 15}
_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_USERS_PER_CHUNK = 10_000


class SelectiveLLMRegularizedMF(BaseEstimator):
    """Matrix factorization, regularized by a judge's preferences where they can be trusted.

    TODO
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "factors": [Interval(Integral, 1, None, closed="left"), None],
        "regularization": [Interval(Real, 0, None, closed="neither"), None],
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "iterations": [Interval(Integral, 1, None, closed="left"), None],
        "item_data": "no_validation",
        "item_encoder": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "prior_strength": [Interval(Real, 0, None, closed="neither")],
        "item_bias": [Interval(Real, 0, None, closed="left")],
        "missing_power": [Interval(Real, 0, None, closed="left")],
        "recency_power": [Interval(Real, 0, None, closed="left")],
        "judge": [LLMJudge, None],
        "gate": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "llm_weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "refine_iterations": [Interval(Integral, 1, None, closed="left")],
        "user_col": [Integral, str],
        "item_col": [Integral, str],
        "time_col": [Integral, str, None],
        "compute_loss": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        factors=None,
        regularization=None,
        alpha=None,
        iterations=None,
        *,
        item_data=None,
        item_encoder="auto",
        prior_strength=1.0,
        item_bias=0.06,
        missing_power=0.5,
        recency_power=0.0,
        judge=None,
        gate="auto",
        llm_weight=20.0,
        margin=0.06,
        refine_iterations=8,
        user_col=0,
        item_col=1,
        time_col=None,
        compute_loss=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.item_data = item_data
        self.item_encoder = item_encoder
        self.prior_strength = prior_strength
        self.item_bias = item_bias
        self.missing_power = missing_power
        self.recency_power = recency_power
        self.judge = judge
        self.gate = gate
        self.llm_weight = llm_weight
        self.margin = margin
        self.refine_iterations = refine_iterations
        self.user_col = user_col
        self.item_col = item_col
        self.time_col = time_col
        self.compute_loss = compute_loss
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting -------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit."""
        table = None
        if self.item_data is not None:
            table = read_item_data(self.item_data, self._item_name(X))
        interactions = index_interactions(
            X, y, **self._columns(), extra_items=None if table is None else table.ids
        )
        judged = None if self.judge is None else self._read_judgments()
        features, self.item_encoder_ = None, None
        if table is not None and self.item_encoder is not None:
            features, self.item_encoder_ = encode_items(
                self.item_encoder, table, interactions.items
            )
        self.users_, self.items_ = interactions.users, interactions.items
        self._matrix, self._age = interactions.matrix, interactions.age
        backbone = self._backbone()
        start = backbone.start(*self._matrix.shape, _generator(self.random_state))
        sweeps = backbone.iterations + (0 if judged is None else self.refine_iterations)
        self.loss_curve_ = []
        self.judge_, self.gate_, self.judge_stats_ = self.judge, None, {}
        self._slates = self._slate_scores = None
        with tqdm(total=sweeps, disable=not self.verbose, desc="sweeps") as progress:
            problem = backbone.problem(self._matrix, features, start)
            self._run(problem, backbone.iterations, progress, self.compute_loss and judged is None)
            pairs = {}
            if judged is not None:
                pairs = self._weigh(judged, interactions, backbone, features, start, problem)
                factors = problem.user_factors, problem.item_factors
                problem = backbone.problem(self._matrix, features, factors, **pairs)
                self._run(problem, self.refine_iterations, progress, self.compute_loss)
        self.n_iter_ = sweeps
        users, items = problem.user_factors, problem.item_factors
        if backbone.recency_power > 0:
            recent = backbone.recent_confidence(self._matrix, self._age)
            problem = backbone.problem(
                self._matrix, features, (users, items), confidence=recent, **pairs
            )
            users = problem.solve_users()
        # A user without interactions is a user nobody knows anything about.
        empty = np.diff(self._matrix.indptr) == 0
        users[empty] = users[~empty].mean(axis=0)
        self._bias = backbone.bias(self._matrix.getnnz(axis=0), features)
        self.user_factors_, self.item_factors_ = with_bias(users, items, self._bias)
        return self

    def _backbone(self):
        given = {name: getattr(self, name) for name in _DEFAULTS}
        resolved = {name: _DEFAULTS[name] if v is None else v for name, v in given.items()}
        return ALSBackbone(
            **resolved,
            prior_strength=self.prior_strength,
            item_bias=self.item_bias,
            missing_power=self.missing_power,
            recency_power=self.recency_power,
            num_threads=0 if self.n_jobs is None or self.n_jobs < 0 else self.n_jobs,
        )

    def _columns(self):
        return {"user_col": self.user_col, "item_col": self.item_col, "time_col": self.time_col}

    def _item_name(self, X):
        """Name of the column with the item ids, as item data may have it."""
        if isinstance(self.item_col, str):
            return self.item_col
        names = getattr(X, "columns", ())
        return names[self.item_col] if len(names) > self.item_col else None

    def _run(self, problem, n_sweeps, progress, compute_loss):
        for _ in range(n_sweeps):
            problem.sweep()
            progress.update()
            if compute_loss:
                self.loss_curve_.append(problem.loss())
                progress.set_postfix(loss=f"{self.loss_curve_[-1]:.6g}")

    def _read_judgments(self):
        if not hasattr(self.judge, "questions"):
            raise TypeError(
                "judge must be a PrecomputedJudge, which gives recorded answers; got "
                f"{self.judge!r}."
            )
        return self.judge.questions()

    def _weigh(self, judged, interactions, backbone, features, start, problem):
        """Calibrate the gate and return the weighted preferences."""
        slates, dropped = place_slates(judged, interactions)
        self._warn_dropped(dropped, len(judged.user))
        calibration = slates[slates.calibrates]
        self.gate_ = None
        n_calibration = 0
        if self.gate is not None and len(calibration):
            known = compare_candidates(
                calibration,
                *cross_fitted_scores(calibration, backbone, self._matrix, features, start),
                calibration=True,
            )
            right = calibration.relevance[known.slate, known.preferred] == 1
            n_calibration = len(right)
            gate = ReliabilityGate() if isinstance(self.gate, str) else clone(self.gate)
            self.gate_ = gate.fit(known.evidence, right, calibration.users[known.slate])
        popularity = self._matrix.getnnz(axis=0)
        users, items = with_bias(
            problem.user_factors, problem.item_factors, backbone.bias(popularity, features)
        )
        self._slates = slates
        self._slate_scores = slate_scores(slates, users[slates.users], items, popularity)
        pairs, weights = self._preferences()
        self.judge_stats_ = {
            "n_questions": len(judged.user),
            "n_answers": int(judged.n_answers.sum()),
            "n_slates": len(slates),
            "n_calibration_slates": len(calibration),
            "n_calibration_pairs": n_calibration,
            "n_pairs": len(weights),
            "n_weighted_pairs": int(np.sum(weights > 0)),
        }
        size = slates.items.shape[1]
        terms = np.zeros((len(slates), size, size), dtype=np.float32)
        terms[pairs.slate, pairs.preferred, pairs.other] = weights
        used = terms.any(axis=(1, 2))
        if not used.any():
            return {}
        terms = SlateTerms(slates.users[used], np.maximum(slates.items[used], 0), terms[used])
        return {"slates": terms, "llm_weight": self.llm_weight, "margin": self.margin}

    def _preferences(self):
        """Return the pairs that regularize, and their weights."""
        popularity = self._matrix.getnnz(axis=0)[self._slates.items]
        pairs = compare_candidates(
            self._slates, self._slate_scores, popularity, calibration=False
        )
        if self.gate is None:
            return pairs, np.ones(len(pairs.slate))
        if self.gate_ is None or not len(pairs.slate):
            return pairs, np.zeros(len(pairs.slate))
        return pairs, self.gate_.transform(pairs.evidence)[:, 0]

    def _warn_dropped(self, dropped, n_questions):
        reasons = ", ".join(f"{n} {what}" for what, n in dropped.items() if n)
        n_dropped = sum(n for what, n in dropped.items() if what.startswith("slates"))
        if n_dropped == n_questions:
            raise ValueError(
                f"None of the judge's {n_questions} slates fits the interactions: {reasons}. "
                "Users and items must have the same ids in both, and a slate's history must lie "
                "within the rows given to fit."
            )
        if reasons:
            warnings.warn(
                f"Of the judge's {n_questions} slates these were dropped: {reasons}.",
                UserWarning,
                stacklevel=5,
            )

    @property
    def judgments_(self):
        """Preferences that regularized the fit."""
        check_is_fitted(self)
        if self._slates is None:
            raise AttributeError("judgments_ needs a judge; this model was fitted with judge=None.")
        pairs, weights = self._preferences()
        slates = self._slates
        return pd.DataFrame(
            {
                "user": self.users_[slates.users[pairs.slate]],
                "preferred": self.items_[slates.items[pairs.slate, pairs.preferred]],
                "other": self.items_[slates.items[pairs.slate, pairs.other]],
            }
        ).join(pairs.evidence.assign(weight=weights))

    # -- using ---------------------------------------------------------------------------------

    def predict(self, X):
        """Score."""
        check_is_fitted(self)
        users, items, _ = read_columns(X, user_col=self.user_col, item_col=self.item_col)
        rows, columns = encode(self.users_, users), encode(self.items_, items)
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), 2**18):
            part = slice(start, start + 2**18)
            x, y = self._user_rows(rows[part]), self.item_factors_[columns[part]]
            scores[part] = np.einsum("nk,nk->n", x, y)
        unknown = np.flatnonzero(columns < 0)
        if len(unknown):
            users, which = np.unique(rows[unknown], return_inverse=True)
            scores[unknown] = self._lowest_scores(users)[which]
        return scores

    def _user_rows(self, rows):
        """Return factors by row; -1 is the mean user."""
        factors = self.user_factors_[rows]
        factors[rows < 0] = self.user_factors_.mean(axis=0)
        return factors

    def _lowest_scores(self, rows):
        lowest = np.empty(len(rows), dtype=np.float32)
        chunk = max(1, _SCORES_PER_CHUNK // len(self.items_))
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            lowest[part] = (self._user_rows(rows[part]) @ self.item_factors_.T).min(axis=1)
        return lowest

    def score(self, X, y=None):
        """NDCG@10."""
        check_is_fitted(self)
        users, items, _ = read_columns(X, user_col=self.user_col, item_col=self.item_col)
        relevant = read_strengths(y, len(users)) > 0
        users, user = np.unique(users[relevant], return_inverse=True) # TODO
        return 0.0

    def recommend(self, users, n_items=10, *, filter_seen=True):
        """Recommend."""
        check_is_fitted(self)
        users = np.asarray(users)
        if users.ndim != 1:
            raise ValueError(f"users must be a 1-D array of user ids; got shape {users.shape}.")
        if not isinstance(n_items, Integral) or n_items < 1:
            raise ValueError(f"n_items must be an integer >= 1; got {n_items!r}.")
        rows = encode(self.users_, users)
        k = min(n_items, len(self.items_))
        columns = np.full((len(rows), n_items), -1, dtype=np.int32)
        scores = np.full((len(rows), n_items), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _USERS_PER_CHUNK):
            part = slice(start, start + _USERS_PER_CHUNK)
            columns[part, :k], scores[part, :k] = top_k(
                self._user_rows(rows[part]),
                self.item_factors_,
                k,
                seen=self._seen[rows[part]] if filter_seen else None,
                num_threads=self._backbone().num_threads,
            )
        if (columns >= 0).all():
            return self.items_[columns], scores
        items = self.items_.astype(object)[columns]
        items[columns < 0] = None
        return items, scores

    @property
    def _seen(self):
        """The fitted matrix with an empty last row, which -1 stands for: unknown users."""
        matrix = self._matrix
        indptr = np.append(matrix.indptr, matrix.indptr[-1])
        shape = matrix.shape[0] + 1, matrix.shape[1]
        return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape)


def _generator(random_state):
    """Return a Generator; an int seeds it as implicit does."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)
