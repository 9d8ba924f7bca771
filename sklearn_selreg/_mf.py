"""The estimator: its parameters and documented methods; the subpackages implement them."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted

from ._data._collected import collect
from ._data._csr import count_interactions
from ._data._ids import pick_ids
from ._data._interactions import index_interactions, of_active_users
from ._data._item_columns import ItemColumns
from ._data._item_encoder import AutoItemEncoder
from ._data._item_features import encode_items, feature_names, transform_items
from ._data._item_table import read_item_data, warn_of_better_ids, warn_of_undescribed
from ._data._requested_ids import find_known, read_id, read_ids, warn_of_unknown
from ._data._strengths import KINDS
from ._data._tables import (
    check_same_columns,
    column_names,
    describe_columns,
    has_no_rows,
    read_columns,
)
from ._factorization._als_backbone import ALSBackbone
from ._factorization._factors import Factors
from ._factorization._finite import check_finite_model
from ._factorization._make import BACKBONES, SPECIFICATIONS, make_backbone, name_of
from ._factorization._sampled_backbones import PROXIMAL_SWEEPS
from ._factorization._specifications import ALS, BPR, LMF
from ._gate import ReliabilityGate
from ._judging._asking import Answers, ask
from ._judging._choosing import choose_slates
from ._judging._plan import JudgingPlan
from ._judging._slate_sampler import SlateSampler
from ._judging._weighing import try_gate
from ._serving._arrow import import_pyarrow, stream_lists
from ._serving._explain import check_explainable, explain
from ._serving._fitted import FittedModel
from ._serving._folding_in import (
    check_foldable,
    describe_users,
    fold_in_described,
    fold_in_new_items,
    fold_in_users,
)
from ._serving._frames import frame_library
from ._serving._given import warn_of_unknown_histories
from ._serving._lists import ListMaker
from ._serving._persistence import (
    check_version,
    load_model,
    plain_state,
    restore_plain_state,
    save_model,
)
from ._serving._reasons import reasons
from ._serving._recommend import (
    DEFAULT_NAMES,
    collect_pairs,
    id_names,
    is_list_table,
    read_pairs,
    similar_rows,
    tidy,
)
from ._serving._rules import check_rule_names, read_rules
from ._serving._vectors import with_equal_norms, with_zeros
from ._training._data import TrainingData, TrainingSettings
from ._training._fitting import Trained, train
from ._training._given import (
    check_peer_settings,
    check_widths,
    index_given,
    make_given_model,
    read_factors,
)
from ._training._located import locate, with_interactions
from ._training._preferences import preference_losses
from ._training._refining import train_given
from ._training._reporting import reports_to_callbacks
from ._tuning._auto import (
    FIXED,
    NOT_COMPARED,
    OF_ALS,
    fitted_settings,
    free_settings,
    is_auto,
    resolve,
    search,
    tuning_table,
    used_settings,
    warn_of_raw_strengths,
    warn_of_search,
)
from ._tuning._moves import EFFORTS
from ._utils._mlflow import autologged
from ._utils._params import check_integer, check_nested, expand_shorthands, is_default, name_kind
from ._utils._public import public
from ._utils._sklearn import (
    INTEGER,
    CallbackSupportMixin,
    DisplayMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    _safe_indexing,
)
from ._utils._typing import Column, Table
from ._utils._warn import warn
from ._version import __version__
from .exceptions import ParameterWarning
from .judges import BaseJudge, Slate
from .metrics._models import warn_of_unknown_ids
from .metrics._ndcg import mean_ndcg

if TYPE_CHECKING:
    from pyarrow import RecordBatchReader
    from typing_extensions import Self

# Parameters with nested parameters: what their short forms stand for, ...
_SHORTHANDS: dict[str, dict[Any, type]] = {
    "backbone": {name: kind for kind, name in SPECIFICATIONS.items()},
    "slates": {None: SlateSampler},
    "gate": {"auto": ReliabilityGate},
    "item_encoder": {"auto": AutoItemEncoder},
}
# ... and what to pass when there is no object to set nested parameters of.
_INSTANCES = {
    "gate": "ReliabilityGate()",
    "judge": "AnthropicJudge(max_cost=1)",
    "item_encoder": "AutoItemEncoder()",
}
_OF_BACKBONE = ("factors", "regularization", "alpha", "iterations")
_AUTO = StrOptions({"auto"})
_LARGEST_RECENCY_POWER = 8.0
_LARGEST_LLM_WEIGHT = 4.0  # interactions; a larger value suggests alpha was overlooked


@public
class SelectiveLLMRegularizedMF(DisplayMixin, CallbackSupportMixin, BaseEstimator):
    r"""Matrix factorization regularized by an LLM's preferences where they can be trusted.

    ALS on implicit feedback, with item factors shrunk toward a linear prediction from item
    features. Pairwise preferences from an LLM, collected offline, act as an additional regularizer
    wherever a calibrated gate expects them to add something to popularity and the model: often for
    rare items. Predictions do not use the LLM.

    Each sample is one interaction: a row with a user id and an item id. Ids can be any hashable
    scalars.

    Parameters
    ----------
    factors : "auto", int or None, default="auto"
        Number of latent factors. If "auto", it is tuned (see `tuning`). If None, or if nothing is
        tuned, a fixed value is used: 64 for ALS and BPR, 16 for LMF. All settings below that can be
        "auto" have such a value; those that accept None say so.
    regularization : "auto", float or None, default="auto"
        L2 penalty :math:`\lambda` > 0 on the factors. The best value grows with `alpha`. Fixed
        value: 85 for ALS, 0.05 for BPR, 6 for LMF.
    alpha : "auto", float or None, default="auto"
        Confidence > 0 of an interaction per unit of strength. Fixed value: 50 for ALS, 10 for LMF.
        BPR ignores strengths and has no `alpha`.
    iterations : "auto", int or None, default="auto"
        Number of sweeps over users, items and feature prior for ALS, and number of epochs for BPR
        and LMF, where it is not tuned. Fixed value: 20 for ALS, 100 for BPR, 50 for LMF.
    backbone : "als", "bpr", "lmf", ALS, BPR or LMF, default="als"
        Factorization method: alternating least squares, or Bayesian personalized ranking or
        logistic matrix factorization from `implicit`. A string stands for an instance with default
        settings; :class:`~sklearn_selreg.ALS`, :class:`~sklearn_selreg.BPR` and
        :class:`~sklearn_selreg.LMF` have further ones. For BPR and LMF, features and preferences
        adjust the factors afterwards, and a proximal term keeps them near the original ones.
    user_col, item_col : int or str, default=0 and 1
        Columns of `X` that contain the ids: positions, or names if `X` is a table.
    time_col : int, str or None, default=None
        Column of `X` by which the interactions of a user are ordered. If None, the row order is
        used.
    strengths : "auto", "raw", "log" or "binary", default="auto"
        Transformation of the strengths `y`, after summing over repeated pairs: none, ``log(1 + y)``
        divided by its mean, or 1 for all. Compress play counts and amounts, which span orders of
        magnitude; otherwise the largest ones dominate. Fixed value: "raw". If all strengths are
        equal, "auto" is "raw" for ones and "binary" otherwise.
    negatives : "error" or "net", default="error"
        How to treat negative strengths. If "net", they are returns and are subtracted from the
        user's purchases of the item; pairs with nothing left are not interactions.
    item_data : table, Series, dict or None, default=None
        Item metadata. Tables of any library have the ids in a column named like the item column of
        `X`; pandas objects may have them in the index. A dict maps ids to text, numbers
        or dicts of columns. Items without interactions can be recommended if they are listed here.
    item_encoder : "auto", transformer or None, default="auto"
        Scikit-learn transformer that computes features from the columns of `item_data`. If "auto",
        an :class:`~sklearn_selreg.AutoItemEncoder`. If None, no features are used.
    user_data : table, Series, dict or None, default=None
        User metadata such as age or occupation, in the same forms as `item_data`. An
        :class:`~sklearn_selreg.AutoItemEncoder` computes features, and `regularization` shrinks
        user factors toward a ridge regression on these. Users without interactions who are listed
        here get the predicted factors. It is never sent to a judge.
    prior_strength : "auto" or float, default="auto"
        Strength > 0 of the feature prior: item factors are penalized by `prior_strength` times
        `regularization` times the squared distance from a ridge regression on the features. Without
        features, it has no effect. Fixed value: 2.5.
    item_bias : "auto" or float, default="auto"
        Popularity bonus >= 0: `item_bias * n / (n + 5)` is added to the score of an item with n
        interactions. With features, the bonus is shrunk toward its prediction from them. If 0,
        there is no bias. Fixed value: 0.25.
    popularity_periods : "auto" or int, default="auto"
        Number of periods, with about equally many interactions each, over which popularity may
        change; requires `time_col`. The n of `item_bias` is then the number of interactions that an
        item would have had at its popularity in that period. If 1, popularity is constant. Fixed
        value: 8.
    popularity_at : "user" or "last", default="user"
        Period whose popularity counts: that of the user's newest interaction, or the last one.
        Tuning always uses "user", because most held-out interactions are from earlier periods.
    judge : judge of `sklearn_selreg.judges` or None, default=None
        Source of preferences. A `PrecomputedJudge` is used as is; any other judge is queried on
        slates selected by the estimator. If None, no judge is used.
    slates : SlateSampler or None, default=None
        Selects the slates for the judge. If None, a :class:`~sklearn_selreg.SlateSampler` with
        default settings.
    gate : "auto", ReliabilityGate, other transformer or None, default="auto"
        Assigns weights to preferences. If "auto", a `ReliabilityGate()`. If None, all preferences
        have weight 1 (global distillation). Any other transformer needs ``fit(Z, y, groups=)``,
        where Z is a DataFrame of the gate's evidence, and a `transform` that returns one column of
        finite weights >= 0, in log-odds. It receives pair weights if `fit` accepts `sample_weight`.
    llm_weight : float, default=0.16
        Weight >= 0 of all preferences, relative to `alpha`: at 1, a preference of weight 1 counts
        as much as an interaction. (:math:`\mu` is `llm_weight` times `alpha`, or times 50 for BPR,
        LMF and given factors.)
    margin : float, default=0.4
        Largest score difference >= 0 that a preference asks for; once it is reached, the preference
        has no effect. With a gate, a preference asks for the difference of the model without judge
        plus what its log-odds are worth, up to `margin`. Without a gate, it always asks for
        `margin`. As scores of BPR and LMF have a different scale, the unit of `margin` is there 10
        standard deviations of a user's scores, comparable to ALS, and that of `item_bias` 20,
        because their training removes popularity; for given factors, the unit of `margin` is 1
        standard deviation.
    tuning : "fast", "thorough" or None, default="fast"
        How to tune the settings that are "auto". "fast" holds out the last interaction of each user
        and compares about 15 models, most with few factors and sweeps, by how they rank it; see
        Notes. "thorough" passes over the settings up to three times and uses more interactions. If
        None, or if fewer than 200 users have two items or more, the fixed values are used.
    warm_start : bool, default=False
        If True, `fit` resumes from the factors of the previous `fit`, matched by id. New users are
        folded in, new items start at their prediction from features (else at random), and ids no
        longer in `X` are dropped. The gate is recalibrated from scratch.
    n_jobs : int or None, default=None
        Number of threads; not 0. If None or negative, all cores are used. Small problems run on one
        thread. Results do not depend on it, except for BPR and LMF, which therefore use one thread
        when `random_state` is set.
    random_state : int, RandomState, Generator or None, default=None
        Seed for the initial factors. An int gives reproducible results, and the same initial
        factors as the same int in `implicit`.
    verbose : int, default=0
        If positive, show progress bars for slate selection, for sweeps (including those that
        calibrate the gate), and for users during recommendation and evaluation. Judges have their
        own `verbose`. Callbacks (`set_callbacks`, scikit-learn 1.9) receive the same progress.

    Attributes
    ----------
    factors_, regularization_, alpha_, iterations_ : int, float, float, int
        Values used for these parameters, whether tuned or given; None if the backbone does not have
        the parameter.
    prior_strength_, item_bias_, missing_power_, recency_power_ : float
        Likewise.
    strengths_, popularity_periods_ : str, int
        Likewise.
    tuning_ : DataFrame
        Settings compared during tuning, if any; computed on access.
    users_ : ndarray of shape (n_users,)
        User ids, including those in `user_data`, with their original type; sorted if sortable.
    items_ : ndarray of shape (n_items,)
        Item ids, including those in `item_data`.
    user_factors_ : ndarray of shape (n_users, n_columns), float32
        `factors` columns. With `item_bias`, BPR or LMF, further columns encode the user's period (a
        column of ones if there is a single period). Users without interactions have the factors
        predicted from `user_data`, or else the mean of the other users, and the last period.
    item_factors_ : ndarray of shape (n_items, n_columns), float32
        `factors` columns, and further columns with the item biases in each period.
    gate_ : ReliabilityGate or None
        Fitted gate. None without a judge or gate, and if no slate was available for calibration, in
        which case no preference is trusted.
    judge_ : judge of `sklearn_selreg.judges` or None
        The judge.
    judge_stats_ : dict of str to int
        Counts: `slates` that were answered (even without an opinion), `answers` with an opinion (a
        slate may be sent in several orders), `slates_used` and `pairs`; with a gate also
        `calibration_slates`, `calibration_pairs` and `pairs_weighted`, those with positive weight.
        Empty without a judge.
    preferences_ : DataFrame
        Preferences with their evidence and weights; computed on access.
    judge_summary_ : str
        One-sentence summary of what the judge adds; computed on access.
    item_encoder_ : transformer or None
        Fitted encoder of `item_data`.
    user_encoder_ : AutoItemEncoder or None
        Fitted encoder of `user_data`.
    loss_curve_ : list of float
        If the backbone has ``compute_loss=True``: the objective after each regularized sweep
        (without a judge, after every sweep). It never increases within the sweeps of one objective.
    n_iter_ : int
        Number of sweeps, plus epochs for BPR and LMF.
    n_features_in_ : int
        Number of columns of `X` in `fit`; 2 for a sparse matrix. `predict` only needs the user and
        item columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,), object
        Column names of `X`, if they are all strings.

    See Also
    --------
    ReliabilityGate : Predicts where a judge can be trusted.
    sklearn_selreg.judges.PrecomputedJudge : Judge with recorded answers.
    sklearn_selreg.metrics.ranking_report : Ranking metrics by regime.

    Notes
    -----
    The objective is stated in the user guide, under "The method". A judged slate is used if the
    history shown to the judge is contained in the user's fitted interactions. Candidates that the
    user was fitted on but that were not shown to the judge calibrate the gate; all others
    regularize the model.

    Tuning uses only the rows given to `fit`, and no judge; the final fit includes the held-out
    rows. It selects the settings with the highest criterion (NDCG@10, plus AUC over all items and
    over rare items) among those that rank no worse than popularity and plain `implicit`. The result
    does not depend on `random_state`. With `warm_start`, the settings of the previous fit are kept.

    References
    ----------
    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets". Yang &
    Shi (2025), "S-LLMR", arXiv 2512.21526.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> X = pd.DataFrame({"user": ["ann", "ann", "bob", "bob", "cat"],
    ...                   "item": ["Alien", "Heat", "Alien", "Heat", "Alien"]})
    >>> genres = {"Alien": "SciFi|Horror", "Heat": "Crime", "Aliens": "SciFi|Horror"}
    >>> model = SelectiveLLMRegularizedMF(factors=2, item_data=genres, random_state=0).fit(X)
    >>> items, scores = model.recommend(["cat"], n_items=2)
    >>> items.tolist()  # nobody has seen Aliens: recommended for its genre
    [['Heat', 'Aliens']]
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "factors": [Interval(Integral, 1, None, closed="left"), _AUTO, None],
        "regularization": [Interval(Real, 0, None, closed="neither"), _AUTO, None],
        "alpha": [Interval(Real, 0, None, closed="neither"), _AUTO, None],
        "iterations": [Interval(Integral, 1, None, closed="left"), _AUTO, None],
        "backbone": [StrOptions(set(BACKBONES)), *SPECIFICATIONS],
        "user_col": [INTEGER, str],
        "item_col": [INTEGER, str],
        "time_col": [INTEGER, str, None],
        "strengths": [StrOptions({"auto", *KINDS})],
        "negatives": [StrOptions({"error", "net"})],
        "item_data": "no_validation",
        "item_encoder": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "user_data": "no_validation",
        "prior_strength": [Interval(Real, 0, None, closed="neither"), _AUTO],
        "item_bias": [Interval(Real, 0, None, closed="left"), _AUTO],
        "popularity_periods": [Interval(Integral, 1, None, closed="left"), _AUTO],
        "popularity_at": [StrOptions({"user", "last"})],
        "judge": "no_validation",  # by _check_judge: the message should not print all records
        "slates": [SlateSampler, None],
        "gate": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "llm_weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "tuning": [StrOptions(set(EFFORTS)), None],
        "warm_start": ["boolean"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "random_state": [
            Interval(Integral, 0, 2**32 - 1, closed="both"),
            np.random.RandomState,
            np.random.Generator,
            None,
        ],
        "verbose": ["verbose"],
    }

    _parameter_groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "Factorization": (*_OF_BACKBONE, "backbone"),
        "Interactions": (
            *("user_col", "item_col", "time_col", "strengths", "negatives"),
            *("popularity_periods", "popularity_at"),
        ),
        "Items and users": (
            *("item_data", "user_data", "item_encoder", "prior_strength", "item_bias"),
        ),
        "Judge": ("judge", "slates", "gate", "llm_weight", "margin"),
        "Running": ("tuning", "warm_start", "n_jobs", "random_state", "verbose"),
    }

    # Parameters set since cloning, e.g. by a search; None if this is not a clone.
    _set_since_cloned: frozenset[str] | None = None
    _make_losses = staticmethod(preference_losses)  # subclasses may replace the loss

    def __init__(
        self,
        factors: int | Literal["auto"] | None = "auto",
        regularization: float | Literal["auto"] | None = "auto",
        alpha: float | Literal["auto"] | None = "auto",
        iterations: int | Literal["auto"] | None = "auto",
        *,
        backbone: Literal["als", "bpr", "lmf"] | ALS | BPR | LMF = "als",
        user_col: Column = 0,
        item_col: Column = 1,
        time_col: Column | None = None,
        strengths: Literal["auto", "raw", "log", "binary"] = "auto",
        negatives: Literal["error", "net"] = "error",
        item_data: Any = None,
        item_encoder: Any = "auto",
        user_data: Any = None,
        prior_strength: float | Literal["auto"] = "auto",
        item_bias: float | Literal["auto"] = "auto",
        popularity_periods: int | Literal["auto"] = "auto",
        popularity_at: Literal["user", "last"] = "user",
        judge: BaseJudge | None = None,
        slates: SlateSampler | None = None,
        gate: Any = "auto",
        llm_weight: float = 0.16,
        margin: float = 0.4,
        tuning: Literal["fast", "thorough"] | None = "fast",
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.backbone = backbone
        self.user_col = user_col
        self.item_col = item_col
        self.time_col = time_col
        self.strengths = strengths
        self.negatives = negatives
        self.item_data = item_data
        self.item_encoder = item_encoder
        self.user_data = user_data
        self.prior_strength = prior_strength
        self.item_bias = item_bias
        self.popularity_periods = popularity_periods
        self.popularity_at = popularity_at
        self.judge = judge
        self.slates = slates
        self.gate = gate
        self.llm_weight = llm_weight
        self.margin = margin
        self.tuning = tuning
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # -- parameters and tags -----------------------------------------------------------------------

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including nested ones such as `gate__C` or `backbone__recency_power`.

        Setting a nested parameter of one that is "auto", None or a string (`slates`, `backbone`)
        first replaces it by an instance with default settings.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            For unknown names, and for nested parameters of one that is None, such as `judge`: pass
            an instance first.
        """
        params = expand_shorthands(self, params, _SHORTHANDS)
        check_nested(self, params, _INSTANCES, _SHORTHANDS)
        if self._set_since_cloned is not None:
            self._set_since_cloned |= set(params)
        return super().set_params(**params)

    def __sklearn_clone__(self):
        clone = super().__sklearn_clone__()
        clone._set_since_cloned = frozenset()  # searches set parameters on clones
        if hasattr(self, "_left_behind"):  # clones of a loaded model lack the same parameters
            clone._left_behind = self._left_behind
        return clone

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Ids are categories. Sparse matrices are not tables of samples: `fit` reads them as users x
        # items, without y, and `predict` rejects them.
        tags.input_tags.categorical = True
        tags.input_tags.sparse = False
        tags.target_tags.required = False
        tags.target_tags.positive_only = True
        return tags

    # -- what was fitted ---------------------------------------------------------------------------

    @property
    def users_(self) -> np.ndarray:
        """User ids, including those in `user_data`, with their original type."""
        return self._fitted_model.users

    @property
    def items_(self) -> np.ndarray:
        """Item ids, including those in `item_data`."""
        return self._fitted_model.items

    @property
    def user_factors_(self) -> np.ndarray:
        """User factors, with the users' periods."""
        return self._fitted_model.user_factors

    @property
    def item_factors_(self) -> np.ndarray:
        """Item factors, with the item biases."""
        return self._fitted_model.item_factors

    @property
    def _fitted_model(self) -> FittedModel:
        try:
            return vars(self)["_fitted"]
        except KeyError:
            name = type(self).__name__
            raise AttributeError(
                f"This {name} instance is not fitted yet. Call fit before using its factors."
            ) from None

    # -- fitting -----------------------------------------------------------------------------------

    @autologged
    @_fit_context(prefer_skip_nested_validation=False)
    @reports_to_callbacks
    def fit(self, X: Table, y: Any = None) -> Self:
        """Fit the factors and, with a judge, the gate.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_columns), or sparse matrix
            One interaction per row. Accepts tables of pandas, polars and pyarrow; lazy queries of
            polars, duckdb, ibis and others are collected. A scipy sparse matrix of shape (n_users,
            n_items) holds strengths, and the ids are row and column numbers.
        y : array-like of shape (n_samples,), default=None
            Strengths >= 0; for negative ones see `negatives`. Repeated pairs are summed. A strength
            of 0 adds the user and the item without an interaction. If None, all strengths are 1.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        TypeError
            If a parameter, column or judge has the wrong type.
        ValueError
            If a parameter is out of range; if the table is empty or has missing or infinite ids; if
            strengths are negative, not finite, or never positive; if ids in `item_data` or
            `user_data` are duplicated; if no recorded slate matches the interactions; if the judge
            reads texts, but there is no `item_data` and the ids are numbers; with `warm_start`, if
            `factors` or the kind of `backbone` changed.
        JudgeError
            If the judge's service refuses to answer.
        CacheError
            If the judge's cache cannot be created or read.

        Warns
        -----
        JudgmentWarning
            If slates of the judge are dropped, if it has no opinion, if its ratings follow the
            order in which candidates are shown, or if querying stopped early
            (`slates__stop_if_useless`).
        BudgetWarning
            If the judge's budget is exhausted.
        GateWarning
            If the gate has too little data to learn from, finds that the judge adds nothing, or
            finds preferences that are implausibly certain (the judge may know hidden interactions).
        DataWarning
            If ids or columns look unintended; if more than 5 % of the items with interactions are
            not in `item_data`; if the index of `y` has the labels of X in another order; or if a
            loaded model is refitted without parameters that it had when it was saved.
        ParameterWarning
            If `regularization` is so large that all users get nearly the same recommendations; if
            no settings rank as well as popularity and plain `implicit`; if a search repeats the
            tuning in every fit; if `llm_weight` or `recency_power` is far too large; if
            ``negatives="net"`` but `y` is None.
        """
        settings, backbone = self._resolve()
        answers = self._recorded_answers()
        old = self._factors_to_resume(backbone)
        data = self._read(X, y)
        settings, found = self._find_settings(settings, backbone, data, old)
        if answers is None and self.judge is not None:
            answers = self._ask(data)
        self._warn_of_what_a_file_lacked()
        n_columns, names = describe_columns(X)
        fitted = {"n_features_in_": n_columns, "_found": found}
        fitted |= {"item_encoder_": data.encoder, "user_encoder_": data.user_encoder}
        if names is not None:
            fitted["feature_names_in_"] = names

        def attributes_of(trained):
            return self._attributes_of(settings["popularity_periods"], trained, **fitted)

        how = replace(self._training_settings(settings), attributes_of=attributes_of)
        trained = train(data, answers, how, old)
        was_compared = found is not None and (
            "strengths" in found.settings or found.compressed is not None
        )
        if trained.model.scale.kind == "raw" and not was_compared:
            warn_of_raw_strengths(trained.model.matrix.data)
        return self._assign(attributes_of(trained))

    def _attributes_of(self, n_periods, trained, **fitted):
        """Fitted attributes, assigned together at the very end, so that a failed fit sets none."""
        supervision, backbone = trained.supervision, trained.model.backbone
        n_sweeps = trained.n_iter if isinstance(backbone, ALSBackbone) else backbone.iterations
        settings = fitted_settings(backbone, trained.model.scale, n_periods, n_sweeps)
        return (
            settings
            | {
                "_fitted": trained.model,
                "_supervision": supervision,
                "_left_behind": (),
                "judge_": self.judge,
                "gate_": None if supervision is None else supervision.gate,
                "judge_stats_": dict(trained.judge_stats),
                "loss_curve_": trained.losses,
                "n_iter_": trained.n_iter,
            }
            | fitted
        )

    def _assign(self, fitted):
        kept = dict(vars(self))
        if "n_features_in_" in fitted:  # the new table may have no column names
            kept.pop("feature_names_in_", None)
        self.__dict__ = kept | fitted
        return self

    # -- settings and checks -----------------------------------------------------------------------

    @property
    def _specification(self):
        spec = self.backbone
        return _SHORTHANDS["backbone"][spec]() if isinstance(spec, str) else spec

    @property
    def _sampler(self):
        return SlateSampler() if self.slates is None else self.slates

    @property
    def _num_threads(self):
        return 0 if self.n_jobs is None or self.n_jobs < 0 else self.n_jobs

    def _given_settings(self):
        """Parameters that may be "auto"; 0 for those that the backbone does not have."""
        spec = self._specification
        return {
            name: getattr(spec, name, 0.0) if name in OF_ALS else getattr(self, name)
            for name in FIXED
        }

    def _resolve(self):
        """Return the settings known before tuning, and the corresponding backbone."""
        self._check_parts()
        fitted = None
        if self.warm_start and hasattr(self, "_fitted"):
            kind = BACKBONES[name_of(self._specification)]
            if isinstance(self._fitted.backbone, kind):  # any other kind is rejected later
                fitted = {name: getattr(self, f"{name}_") for name in FIXED}
        settings = resolve(self._given_settings(), self.time_col is not None, fitted)
        backbone = self._make_backbone(settings)
        if self.judge is not None and not is_auto(self.iterations):
            backbone.split(self._specification.refine_iterations)  # raises
        return settings, backbone

    def _check_parts(self):
        """Check nested parameters; those of a judge are checked when it is queried."""
        if isinstance(self.gate, type):
            raise TypeError(
                f"gate must be 'auto', None or an instance; got {name_kind(self.gate)}."
            )
        parts = [self._specification, self._sampler]
        if isinstance(self.gate, ReliabilityGate):
            parts.append(self.gate)
        for part in parts:
            part._validate_params()
        power = getattr(self._specification, "recency_power", 0)
        if not is_auto(power) and power > _LARGEST_RECENCY_POWER:
            warn(
                f"recency_power={power!r} leaves hardly more than the newest interaction of each "
                f"user: the second newest counts 1/2**{power:g} as much. Use a value below 2.",
                ParameterWarning,
            )

    def _make_backbone(self, settings):
        return make_backbone(
            self._specification,
            settings,
            num_threads=self._num_threads,
            seeded=self.random_state is not None,
        )

    def _find_settings(self, settings, backbone, data, old):
        """Tune the free settings; return all settings and the search result."""
        if self.tuning is None or old is not None:
            return settings, None
        given = self._given_settings()
        free = free_settings(given, backbone, data)
        if not free:
            return settings, None
        settings, found = search(given, settings, free, backbone, data, self.tuning, self.verbose)
        if found is not None:
            compared = (self._set_since_cloned or frozenset()) - NOT_COMPARED
            warn_of_search(found, sorted(compared))
        return settings, found

    def _training_settings(self, settings):
        backbone, spec, n_refine = self._make_backbone(settings), self._specification, 0
        if self.judge is not None:
            least = (spec.refine_iterations or 1) + 1
            if is_auto(self.iterations) and backbone.iterations < least:
                backbone = replace(backbone, iterations=least)
            backbone, n_refine = backbone.split(spec.refine_iterations)
        return self._settings_of_training(
            backbone, n_refine, settings["strengths"], settings["popularity_periods"]
        )

    def _settings_of_training(self, backbone, n_refine, strengths, n_periods):
        return TrainingSettings(
            backbone,
            n_refine,
            strengths,
            n_periods,
            uses_last_period=self.popularity_at == "last",
            judge=self.judge,
            gate=self.gate,
            llm_weight=self.llm_weight,
            margin=self.margin,
            random_state=self.random_state,
            compute_loss=self._specification.compute_loss,
            verbose=self.verbose,
            make_losses=self._make_losses,
        )

    def _factors_to_resume(self, backbone):
        """Ids and factors to resume from; None before the first fit."""
        if not self.warm_start or not hasattr(self, "_fitted"):
            return None
        model = self._fitted
        fitted = model.backbone
        if type(fitted) is not type(backbone) or fitted.factors != backbone.factors:
            raise ValueError(
                "warm_start requires the same kind and number of factors: the model was fitted "
                f"with {fitted.factors} factors by {type(fitted).__name__}, but the settings are "
                f"now {backbone.factors} factors by {type(backbone).__name__}. Set "
                "warm_start=False or clone the model."
            )
        factors = Factors(
            *model.plain_factors, None, gain=model.fold_in_scale, own_bias=model.own_bias
        )
        return model.users, model.items, factors

    def _warn_of_what_a_file_lacked(self):
        """Warn if a loaded model is refitted without parameters that the saved one had."""
        defaults = type(self)().get_params(deep=False)
        left_behind = getattr(self, "_left_behind", ())
        lost = [p for p in left_behind if is_default(getattr(self, p), defaults[p])]
        if lost:
            warn(
                f"The model was loaded from a file, which does not hold {', '.join(lost)}; it is "
                "fitted without them, so the result will differ. To restore them, call set_params("
                f"{', '.join(f'{p}=...' for p in lost)}) before fit."
            )

    def _check_judge(self) -> BaseJudge:
        """Check the judge and related parameters before any query; return the judge."""
        if not isinstance(self.judge, BaseJudge):
            raise TypeError(
                "judge must be a BaseJudge, e.g. PrecomputedJudge(judgments) for recorded answers, "
                "AnthropicJudge(max_cost=1), or LLMJudge.from_callable(f, name=, version=); got "
                f"{name_kind(self.judge)}."
            )
        self.judge._check_parameters()
        if self.llm_weight > _LARGEST_LLM_WEIGHT:
            warn(
                f"llm_weight={self.llm_weight!r} makes each preference count as much as "
                f"{self.llm_weight:g} interactions, because llm_weight is relative to alpha. "
                "Typical values are around 0.16.",
                ParameterWarning,
            )
        if self.gate is not None and not isinstance(self.gate, str) and not self.judge.is_recorded:
            try_gate(self.gate)
        return self.judge

    def _recorded_answers(self):
        """Answers of a recorded judge; None for other judges."""
        if self.judge is None:
            return None
        judge = self._check_judge()
        judge._check_ready()
        return Answers(judge.judged_slates()) if judge.is_recorded else None

    def _ask(self, data):
        return ask(
            self.judge,
            self._choose_slates(data),
            data.interactions,
            stop_if_useless=self._sampler.stop_if_useless,
        )

    def _choose_slates(self, data):
        interactions = data.interactions
        if data.user_features is not None:  # slates depend only on the rows of X
            interactions = of_active_users(interactions)
        return choose_slates(
            self._sampler,
            self.judge,
            interactions,
            data.features,
            data.table,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )

    # -- reading -----------------------------------------------------------------------------------

    @property
    def _columns(self):
        return {"user_col": self.user_col, "item_col": self.item_col, "time_col": self.time_col}

    def _collect(self, X, y):
        """Read a query or a stream once; return anything else unchanged."""
        return collect(X, aligned=None if y is None else "y", **self._columns)

    @property
    def _id_columns(self):
        """How to read tables after `fit`, which has already warned about such columns."""
        columns = {"user_col": self.user_col, "item_col": self.item_col}
        return columns | {"usual_width": self.n_features_in_}

    def _id_name(self, of, names):
        """Name of the id column in item or user data; `names` are the columns of X."""
        column = self.item_col if of == "item" else self.user_col
        if isinstance(column, str):
            return column
        return names[column] if len(names) > column else None

    def _names_items(self):
        """Whether item data identifies its id column without the columns of X."""
        return isinstance(self.item_col, str) or isinstance(self.item_data, pd.Series | dict)

    def _read_data(self, of, X):
        """Read the item or user data as a table, if any. If X is None, use the fitted names."""
        data = getattr(self, f"{of}_data")
        if data is None:
            return None
        before = getattr(self, "feature_names_in_", ())
        names = before if X is None else column_names(X)
        return read_item_data(data, self._id_name(of, names), of=of)

    def _read(self, X, y):
        """Read interactions, item and user data, and compute features."""
        table, users = self._read_data("item", X), self._read_data("user", X)
        interactions = index_interactions(
            X,
            y,
            **self._columns,
            negatives=self.negatives,
            extra_items=None if table is None else table.ids,
            extra_users=None if users is None else users.ids,
        )
        if self.negatives == "net" and y is None and not sp.issparse(X):
            warn(
                "negatives='net' subtracts returns by their strengths, but y is None, so every row "
                "counts as a purchase. Pass the quantities as y, or ones if no row is a return.",
                ParameterWarning,
            )
        features, encoder = self._make_features("item", X, table, interactions)
        user_features, user_encoder = self._make_features("user", X, users, interactions)
        return TrainingData(
            interactions,
            table,
            features,
            encoder,
            feature_names(encoder, features),
            id_names(X, self.user_col, self.item_col),
            user_features,
            user_encoder,
            feature_names(user_encoder, user_features),
        )

    def _make_features(self, of, X, table, interactions):
        """Features of items or users, and their encoder; None without data."""
        if table is None:
            return None, None
        encoder, ids, matrix = self.item_encoder, interactions.items, interactions.matrix
        if of == "user":
            encoder, ids = "auto", interactions.users
        data, name = getattr(self, f"{of}_data"), self._id_name(of, column_names(X))
        counts = np.diff(matrix.indptr) if of == "user" else count_interactions(matrix)
        used, by_index = ids[counts > 0], isinstance(data, pd.DataFrame) and name not in data
        warned = by_index and warn_of_better_ids(table, used, name, of=of)
        if of == "item" and encoder is not None and not warned:
            warn_of_undescribed(table, used)
        return (None, None) if encoder is None else encode_items(encoder, table, ids, of=of)

    # -- precomputed factors -----------------------------------------------------------------------

    @classmethod
    def from_factors(
        cls,
        user_ids: Any,
        item_ids: Any,
        user_factors: Any,
        item_factors: Any,
        *,
        interactions: Table | None = None,
        y: Any = None,
        base_confidence: float = 0.0,
        count_offset: float | None = None,
        copy: bool = True,
        **parameters: Any,
    ) -> Self:
        """Build a fitted model from precomputed factors.

        It can recommend and predict immediately; :meth:`refine` then applies a judge's preferences.

        Parameters
        ----------
        user_ids, item_ids : array-like of shape (n_users,) and (n_items,)
            Unique ids.
        user_factors, item_factors : array-like of shape (n_users, k) and (n_items, k)
            Factors whose inner products are the scores; biases are ordinary columns. Columns of
            lists (pandas, polars, Arrow) are accepted.
        interactions : table of shape (n_samples, n_columns), sparse matrix or None, default=None
            Interactions that the factors were trained on: a table as in `fit`, or a sparse matrix
            with rows and columns in the order of the ids. Users without rows have seen nothing. If
            None, it is unknown what users have seen: :meth:`recommend` warns that seen items may be
            recommended, and :meth:`refine` must be given interactions.
        y : array-like of shape (n_samples,), default=None
            Strengths of the interactions, as in `fit`.
        base_confidence : float, default=0
            Confidence >= 0 of an interaction in the original library, beyond `alpha` times its
            strength: 1 in cmfrec, irspack, LensKit and Spark, 0 in implicit.
        count_offset : float or None, default=None
            How the original library scales a user's penalty with the number n of interactions:
            ``regularization * (n + count_offset)``, as in Spark (0) and irspack. If None, the
            penalty is `regularization` for any n.
        copy : bool, default=True
            If False, float32 arrays are not copied, and :meth:`refine` modifies them in place. A
            file mapped by ``np.load(path, mmap_mode="c")`` is not modified. Do not change the
            arrays yourself: results that are computed once from them would not follow.
        **parameters
            Parameters of the estimator. Set `regularization` and `alpha` to the values that the
            factors were trained with: they are used to fold in users, by ALS with `missing_power`,
            `recency_power` and `item_bias` 0. A judge reads the texts in `item_data`, but factors
            are not shrunk toward features, and `user_data` is not read. `max_per_group` of
            :meth:`recommend` requires `item_col` to be a name, or `item_data` a dict or Series.

        Returns
        -------
        model : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            If factors and ids have inconsistent shapes; if ids are repeated; if factors are not
            finite; if they are read-only and ``copy=False``; if `factors` differs from their number
            of columns; if `backbone` is not "als"; for interactions as in `fit`; if another number
            is out of range.

        Warns
        -----
        DataWarning
            If users or items of the interactions have no factors; these rows are ignored.

        Notes
        -----
        The user guide lists the corresponding settings of other libraries, with examples.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> model = SelectiveLLMRegularizedMF.from_factors(
        ...     ["ann", "bob"], [10, 20, 30], np.eye(2), [[1, 0], [0, 1], [0.5, 0.5]],
        ...     interactions=[["ann", 10], ["bob", 20]])
        >>> items, scores = model.recommend(["bob"], n_items=2)
        >>> items.tolist()
        [[30, 10]]
        """
        model = cls(**parameters)
        model._validate_params()
        if not isinstance(model._specification, ALS):
            raise ValueError(
                "backbone must be 'als' for given factors, because users are folded in by ALS; "
                f"got {model.backbone!r}."
            )
        check_peer_settings(base_confidence, count_offset)
        interactions = model._collect(interactions, y)
        users, user_factors = read_factors(user_ids, user_factors, "user", copy=copy)
        items, item_factors = read_factors(item_ids, item_factors, "item", copy=copy)
        check_widths(user_factors, item_factors, model.factors)
        settings, backbone = model._resolve()
        fitted = make_given_model(
            users,
            items,
            user_factors,
            item_factors,
            replace(backbone, base_confidence=base_confidence, count_offset=count_offset),
            table=model._read_data("item", None) if model._names_items() else None,
            strengths=settings["strengths"],
            uses_last_period=model.popularity_at == "last",
            id_names=id_names(interactions, model.user_col, model.item_col),
        )
        columns: dict[str, Any] = {"n_features_in_": 2}
        if interactions is not None or y is not None:
            how = {**model._columns, "negatives": model.negatives}
            added = index_given(interactions, y, fitted, **how)
            located = locate(added, users, items)
            located.warn_of_unknown(added, fitted)
            fitted = with_interactions(fitted, located)
            columns["n_features_in_"], names = describe_columns(interactions)
            columns |= {} if names is None else {"feature_names_in_": names}
        return model._assign(
            model._attributes_of(
                1,
                Trained(fitted, None, {}, [], 0),
                item_encoder_=None,
                user_encoder_=None,
                _found=None,
                iterations_=backbone.iterations,
                **columns,
            )
        )

    @reports_to_callbacks(of_given=True)
    def refine(self, X: Table | None = None, y: Any = None) -> Self:
        """Apply the judge's preferences to given factors.

        Only the rows of judged users and items change, and a proximal term keeps them near the
        given ones: time and memory grow with the judged slates and with X, not with the catalog.
        Repeated calls start from the given factors; after :meth:`fold_in`, `save` and `load` these
        are the refined ones. A ``copy.copy`` of the model is not affected.

        Parameters
        ----------
        X : table of shape (n_samples, n_columns), sparse matrix or None, default=None
            Interactions that the factors were trained on; at least all of the judged users, but
            preferably more. They are used to choose slates, identify known positives, filter seen
            items and count popularity, and replace those in the model. If None, the interactions in
            the model are used.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        ValueError
            As in `fit`; if there is no judge; if the model was not built by :meth:`from_factors`;
            if X is None and the model has no interactions.
        TypeError, JudgeError, CacheError
            As in `fit`.

        Warns
        -----
        JudgmentWarning, BudgetWarning, GateWarning, DataWarning
            As in `fit`; and a DataWarning if users or items of X are unknown. These are ignored.

        Notes
        -----
        The gate is calibrated on users whose factors are recomputed from the history shown to the
        judge, by least squares with `alpha` and `regularization`. The given item factors were
        trained on the hidden interactions, too: for rare items, the model's own evidence therefore
        looks slightly too good, and the judge is trusted slightly too little.
        """
        check_is_fitted(self)
        self._validate_params()
        if self._fitted.given is None:
            raise ValueError(
                "refine requires a model built by from_factors. To use a judge in other models, "
                "set it before fit."
            )
        if self.judge is None:
            raise ValueError(
                "refine needs a judge, but judge is None. Call set_params(judge=...) first."
            )
        self._resolve()
        answers = self._recorded_answers()
        model, asked = self._fitted, ()
        added = index_given(X, y, model, **self._columns, negatives=self.negatives)
        self._warn_of_what_a_file_lacked()
        if answers is None:
            data = self._read_given(X, added)
            answers = self._ask(data)
        if answers.judged is not None:
            asked = answers.judged.candidates
        located = locate(added, model.users, model.items, asked)
        located.warn_of_unknown(added, model)
        n_sweeps = self._specification.refine_iterations or PROXIMAL_SWEEPS
        settings = self._settings_of_training(model.backbone, n_sweeps, self.strengths_, 1)
        trained = train_given(model, answers, located, settings)
        return self._assign(self._attributes_of(1, trained, iterations_=self.iterations_))

    def _read_given(self, X, interactions):
        """Return the data from which `refine` chooses slates."""
        model = self._fitted
        known = locate(interactions, model.users, model.items).interactions
        table = self._read_data("item", X)
        return TrainingData(known, table, None, None, np.empty(0, object), model.id_names)

    # -- the judge ---------------------------------------------------------------------------------

    def plan_judging(self, X: Table | None, y: Any = None, *, cv: Any = None) -> JudgingPlan:
        """Plan the queries to the judge and estimate their cost, without sending any.

        Parameters
        ----------
        X, y
            As in `fit`; for a model built by :meth:`from_factors`, as in :meth:`refine`.
        cv : int, splitter, iterable of splits or None, default=None
            If None, plan a single `fit`. Otherwise plan a search with this cross-validation: the
            fits on its training rows and the final one on all rows. Only the settings of slates and
            item features affect the plan.

        Returns
        -------
        plan : JudgingPlan
            Attributes are `slates` (a list of Slate), `n_fits` and `estimate` (a CostEstimate:
            prompts, cached prompts, requests, tokens, expected and maximum cost in USD).
            ``plan.ask()`` sends the queries and returns a judge with the recorded answers, e.g. for
            a search on a cluster. For a recorded judge, the plan is empty.

        Raises
        ------
        TypeError, ValueError
            As in `fit`; and TypeError if there is no judge.

        Warns
        -----
        BudgetWarning
            If the judge's budget is too small.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
        >>> from sklearn_selreg.judges import AnthropicJudge
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
        >>> judge = AnthropicJudge(max_cost=1.0, cache=None)
        >>> model = SelectiveLLMRegularizedMF(judge=judge, slates=SlateSampler(size=2))
        >>> plan = model.plan_judging(likes)
        >>> len(plan.slates), plan.estimate.cost < 0.001
        (2, True)
        """
        self._validate_params()
        self._resolve()
        judge = self._check_judge()
        if judge.is_recorded:
            return JudgingPlan([], 1, judge.estimate_cost([]), judge)
        X, parts = self._collect(X, y), [None]
        if cv is not None:
            parts += [train for train, _ in check_cv(cv).split(X, y)]
        distinct: dict[Slate, None] = {}
        for rows in parts:
            some = X if rows is None else _safe_indexing(X, rows)
            strengths = y if rows is None or y is None else _safe_indexing(y, rows)
            planned = self._read_planned(some, strengths)
            distinct |= dict.fromkeys(self._choose_slates(planned).slates)
        slates = list(distinct)
        plan = JudgingPlan(slates, len(parts), judge.estimate_cost(slates), judge)
        plan.warn_if_too_much()
        return plan

    def _read_planned(self, X, y):
        fitted = getattr(self, "_fitted", None)
        if fitted is None or fitted.given is None:
            return self._read(X, y)
        added = index_given(X, y, fitted, **self._columns, negatives=self.negatives)
        return self._read_given(X, added)

    @property
    def preferences_(self) -> pd.DataFrame:
        """Preferences of the judge between items that the users were not fitted on.

        Returns
        -------
        preferences : DataFrame of shape (n_pairs, 13)
            Columns: the ids `user`, `preferred` and `other`; the gate's evidence `gap`,
            `prior_popularity`, `prior_model`, `history_length`, `popularity_rarer`,
            `popularity_commoner`, `model_uncertainty`, `agreement` and `offset`; and `weight` >= 0,
            in log-odds.

        Raises
        ------
        NotFittedError
            Before `fit`.
        AttributeError
            If there are no preferences: without a judge, without any opinion of the judge, or if
            the model was loaded from a file.
        """
        check_is_fitted(self)
        if self._supervision is None:
            raise AttributeError(
                "preferences_ is not available: the model was fitted without a judge, the judge "
                "had no opinion on any slate, or the model was loaded from a file, which does not "
                "hold preferences."
            )
        return self._supervision.table(self.users_, self.items_)

    @property
    def judge_summary_(self) -> str:
        """One-sentence summary of what the judge adds.

        Returns
        -------
        sentence : str
            `gate_.summary` for the preferences that the gate weighs (a subset if there are more
            than 2,048 slates): on how many pairs with a known outcome the judge, popularity and the
            model are right, and how many all three together; for how many preferences the judge is
            used, and for which kind most. If the judge's ratings did not allow calibration, the
            sentence says so.

        Raises
        ------
        NotFittedError
            Before `fit`.
        AttributeError
            If there is nothing to summarize: without a judge, without any opinion of the judge,
            with ``gate=None`` or a custom gate, or if the model was loaded from a file.
        """
        check_is_fitted(self)
        if self._supervision is not None and self._supervision.is_undecided:
            return self._supervision.summary()
        if self._supervision is None or not isinstance(self.gate_, ReliabilityGate):
            raise AttributeError(
                "judge_summary_ is not available: the model was fitted without a judge, with "
                "gate=None or a custom gate, or with a judge that rated nothing; or it was "
                "loaded from a file, which does not hold preferences."
            )
        return self._supervision.summary()

    def _note(self) -> str:
        return getattr(self, "judge_summary_", "")

    def _used_params(self) -> dict[str, Any]:
        if not hasattr(self, "_fitted"):
            return {}
        return used_settings(self, self._given_settings())

    def _logged_values(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Parameters and metrics of a fit for MLflow."""
        metrics = {f"judge_{name}": count for name, count in self.judge_stats_.items()}
        if self._found is not None:
            best = self._found.best.result
            metrics |= {"tuning_NDCG_at_10": best.ndcg, "tuning_AUC": best.auc}
        used = {f"{name.removeprefix('backbone__')}_": v for name, v in self._used_params().items()}
        return used, metrics

    def _attribute_labels(self) -> dict[str, str]:
        n_users, n_items = len(self.users_), len(self.items_)
        k = self.user_factors_.shape[1]
        labels = {"users_": f"{n_users} ids", "items_": f"{n_items} ids"}
        labels |= {"user_factors_": f"{n_users} x {k}", "item_factors_": f"{n_items} x {k}"}
        return labels

    def found_params(self) -> dict[str, Any]:
        """Return the values used for the settings that are "auto".

        Returns
        -------
        params : dict of str to object
            Tuned or fixed values, to pass to `set_params` of an estimator with the same `backbone`:
            fitting it on the same data gives the same model without a search. `prior_strength` is
            omitted without item features, and `popularity_periods` without times.

        Raises
        ------
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.found_params()["alpha"]  # too few users to tune: the fixed value
        50.0
        """
        check_is_fitted(self)
        given = self._given_settings()
        free = {name for name, value in given.items() if is_auto(value)}
        if self._fitted.features is None:
            free -= {"prior_strength"}
        if self.time_col is None:
            free -= {"popularity_periods"}
        return used_settings(self, {name: given[name] for name in given if name in free})

    @property
    def tuning_(self) -> pd.DataFrame:
        """Settings compared during tuning.

        Returns
        -------
        table : DataFrame of shape (n_trials, n_settings + 6)
            One row per fit. Columns: the settings, by name; `chosen`, whether they were selected
            (bool); `NDCG@10` and `AUC` on held-out interactions; `AUC rare`, that on those of rare
            items (NaN if there are too few); `criterion`; and `seconds` of CPU time. Given
            `factors` are compared with at most 32 (16 for LMF), and given `iterations` of ALS with
            at most 6 sweeps (8 if "thorough").

        Raises
        ------
        NotFittedError
            Before `fit`.
        AttributeError
            If nothing was tuned, or if the model was loaded from a file.
        """
        check_is_fitted(self)
        if self._found is None:
            raise AttributeError(
                "tuning_ is not available, because nothing was tuned: tuning is None, all settings "
                "were given, there were too few interactions to hold out, warm_start kept the "
                "previous settings, or the model was loaded from a file."
            )
        return tuning_table(self._found)

    # -- prediction --------------------------------------------------------------------------------

    def predict(
        self, X: Table, *, unknown_items: Literal["lowest", "nan"] = "lowest"
    ) -> np.ndarray:
        """Score user-item pairs.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_columns)
            User and item ids, in the columns `user_col` and `item_col`; or a table returned by
            :meth:`recommend`.
        unknown_items : "lowest" or "nan", default="lowest"
            Score of unknown items: the user's lowest score, with a warning, or NaN.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            Inner products of user and item factors, finite except for unknown items with "nan".
            They rank items within a user and are not probabilities. Unknown users get the scores of
            the mean user.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a sparse matrix, whose rows do not identify users.
        ValueError
            For X as in `fit`; for an invalid `unknown_items`.

        Warns
        -----
        DataWarning
            If unknown user ids have a different type from the fitted ones; if items are unknown
            (with "nan" only if their ids have a different type).
        """
        check_is_fitted(self)
        if unknown_items not in ("lowest", "nan"):
            raise ValueError(f"unknown_items must be 'lowest' or 'nan'; got {unknown_items!r}.")
        model, as_nan = self._fitted, unknown_items == "nan"
        names = model.id_names
        X = collect(X, aligned="scores", user=names[0], item=names[1], **self._columns)
        if is_list_table(X, names):
            users, items = read_pairs(X, names, self._id_columns, "X")
        else:
            check_same_columns(self, X, user_col=self.user_col, item_col=self.item_col)
            users, items, _ = read_columns(X, **self._id_columns)
        rows, columns = model.find_users(users), model.find_items(items)
        self._warn_of_foreign(users[rows < 0], len(rows))
        lowest = (
            "they get each user's lowest score, which looks like any other score. To identify "
            "them, pass unknown_items='nan'"
        )
        unknown = np.flatnonzero(columns < 0)
        warn_of_unknown(
            "items",
            items[unknown],
            len(rows),
            model.items,
            "their scores are NaN" if as_nan else lowest,
            tolerated="same type" if as_nan else "none",
        )
        scores = model.score_pairs(rows, columns)
        if len(unknown):
            scores[unknown] = 0 if as_nan else model.lowest_scores(rows[unknown])
        check_finite_model(scores)
        if as_nan:
            scores[unknown] = np.nan
        return scores

    def _warn_of_foreign(self, unknown, n_ids):
        so = "they are treated as the mean user"
        self._fitted.warn_of_foreign_users("users", unknown, n_ids, so)

    def score(self, X: Table, y: Any = None) -> float:
        """Mean NDCG@10 over the users in X.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_columns)
            Held-out interactions.
        y : array-like of shape (n_samples,), default=None
            Strengths; rows with y > 0 are relevant. If None, all rows are.

        Returns
        -------
        ndcg : float
            Value in [0, 1]. For each user, `items_` are ranked, except for items that the user was
            fitted on and that are not in X. Relevant items not in `items_` count as misses. Unknown
            users are treated as the mean user.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            As in `predict`; for strengths, as in `fit`.

        Warns
        -----
        DataWarning
            If more than half of the users are unknown (e.g. because rows sorted by user were split
            without shuffling), or more than half of the items; if a model built by
            :meth:`from_factors` does not know what users have seen.
        """
        check_is_fitted(self)
        X = self._collect(X, y)
        check_same_columns(self, X, user_col=self.user_col, item_col=self.item_col)
        held_out = _index_table(X, y, **self._id_columns, negatives=self.negatives)
        model = self._fitted
        rows, columns = model.find_users(held_out.users), model.find_items(held_out.items)
        warn_of_unknown_ids(held_out, rows, columns, model.users, model.items)
        warn_of_unknown_histories(model, rows, "it is ranked among the candidates")
        model.check_users_finite()
        model.check_items_finite()
        return mean_ndcg(
            lambda part: model.score(rows[part]),
            held_out.matrix,
            columns,
            seen=model.seen_by(rows),
            verbose=self.verbose,
        )

    def recommend(
        self,
        users: Any,
        n_items: int = 10,
        *,
        filter_seen: bool = True,
        items: Any = None,
        exclude: Any = None,
        per_user_items: Any = None,
        max_per_group: Mapping[str, int] | None = None,
        min_new: int = 0,
        as_frame: bool | Literal["pandas", "polars", "pyarrow"] = False,
    ) -> tuple[np.ndarray, np.ndarray] | Table:
        """Recommend the highest-scoring items to each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids, possibly repeated. Unknown users get the recommendations of the mean user.
        n_items : int, default=10
            Number of items per user, >= 1.
        filter_seen : bool, default=True
            Exclude the items that a user was fitted on.
        items : array-like of shape (n_candidates,), set or None, default=None
            Ids of the candidate items, e.g. those in stock. If None, all items.
        exclude : array-like of shape (n_excluded,), set, table or None, default=None
            Items to exclude: item ids for all users, or a table of user-item pairs (a DataFrame
            with the column names of `X`, a table returned by this method, or an array or list of
            pairs). Unknown users are allowed; unknown items are ignored with a warning.
        per_user_items : dict, Series, table or None, default=None
            Items allowed for each user: a mapping from user id to item ids, or a table of pairs as
            in `exclude`. Users without any get empty lists, with a warning. If None, all items are
            allowed.
        max_per_group : dict of str to int or None, default=None
            Mapping from columns of `item_data` to the maximum number, >= 1, of items with the same
            value in a list. Items with missing values belong to no group. See Notes.
        min_new : int, default=0
            Minimum number of items per list that had no interactions in `fit`, chosen such that the
            sum of scores decreases as little as possible. They are placed by their scores, mostly
            last. If there are too few, all of them are included, with a warning.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            If set, return a table of this library; True stands for "pandas".

        Returns
        -------
        items : ndarray of shape (n_users, n_items)
            Item ids, best first; None where there are not enough candidates. The width is at most
            the number of items.
        scores : ndarray of shape (n_users, n_items), float32
            Their scores, as returned by `predict`; NaN where the item is None.
        table : DataFrame or pyarrow.Table of shape (<= n_users * n_items, 4)
            Returned instead with `as_frame`: one row per recommended item, with columns `user`,
            `rank` (from 1), `item` and `score`. The user and item columns are named as in the
            DataFrame given to `fit`, unless one of these names is "rank" or "score".

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `users` is not 1-D or has missing ids; if `n_items` is not an integer >= 1; if
            `items` is not 1-D, is empty or contains only unknown ids; if `exclude` or
            `per_user_items` has none of the forms above; if `max_per_group` names a column that the
            fitted item data lacks, or one of lists or vectors; if `min_new` is larger than
            `n_items`, or the model has no interactions; if `as_frame` is invalid, or its library
            has no type for the ids.
        TypeError
            If `max_per_group` is not a dict.
        ImportError
            If the library of `as_frame` is not installed.

        Warns
        -----
        DataWarning
            If some of `items`, `per_user_items` or `exclude` are unknown, which are ignored; if
            unknown user ids have a different type from the fitted ones; if users have no
            `per_user_items`, or too few new items; with `filter_seen`, if a model built by
            :meth:`from_factors` does not know what users have seen.

        Notes
        -----
        Lists have the highest sum of scores that the rules allow if there is one grouping, or if
        groups are nested (brands within categories). If groups cross (categories and price ranges),
        items are selected greedily by score, new ones first when `min_new` would otherwise not be
        met. The result may then not be optimal and, in rare cases, miss `min_new` or be too short.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.recommend(["bob", "cat"], 1, exclude=[["cat", "Alien"]])[0]
        array([['Heat'],
               ['Heat']], dtype=object)
        >>> model.recommend(["bob"], items=["Up", "Alien"], as_frame=True).drop(columns="score")
          user  rank item
        0  bob     1   Up
        """
        library = frame_library(as_frame)
        users, lists = self._lists(
            users,
            n_items,
            filter_seen=filter_seen,
            items=items,
            exclude=exclude,
            per_user_items=per_user_items,
            max_per_group=max_per_group,
            min_new=min_new,
        )
        columns, scores = lists.make(slice(None))
        lists.warn_if_short()
        model = self._fitted
        if library is not None:
            return tidy(users, model.items, columns, scores, model.id_names, library)
        return pick_ids(model.items, columns), scores

    def recommend_batches(
        self, users: Any, n_items: int = 10, *, batch_size: int = 100_000, **rules: Any
    ) -> RecordBatchReader:
        """Recommend to any number of users, as a stream of Arrow record batches.

        The lists equal those of :meth:`recommend` but are computed while they are read: memory
        grows with `batch_size`, not with the number of users. Requires pyarrow
        (``pip install pyarrow``).

        Parameters
        ----------
        users : array-like of shape (n_users,)
            As in :meth:`recommend`.
        n_items : int, default=10
            Number of items per user, >= 1.
        batch_size : int, default=100_000
            Number of users per batch, >= 1.
        **rules
            Arguments of :meth:`recommend`: `filter_seen`, `items`, `exclude`, `per_user_items`,
            `max_per_group` and `min_new`.

        Returns
        -------
        reader : pyarrow.RecordBatchReader
            Iterator over record batches with the columns of the table of :meth:`recommend`: user,
            `rank` (int32), item and `score` (float32). It can be read once, including by libraries
            that accept Arrow streams, such as polars and duckdb.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ImportError
            If pyarrow is not installed.
        TypeError
            If ids are of mixed types, or of a type that Arrow lacks; for unknown `rules`.
        ValueError
            As in :meth:`recommend`, always raised by the call itself; if `batch_size` is not an
            integer >= 1.

        Warns
        -----
        DataWarning
            As in :meth:`recommend`; about too few new items only after the last batch.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> reader = model.recommend_batches(["bob", "cat", "dan"], 1, batch_size=2)
        >>> [batch.num_rows for batch in reader]
        [2, 1]
        """
        check_is_fitted(self)
        import_pyarrow("recommend_batches")
        check_integer("batch_size", batch_size, 1)
        check_rule_names("recommend_batches", rules, ("users", "n_items", "batch_size"))
        users, lists = self._lists(users, n_items, **rules)
        names = self._fitted.id_names
        return stream_lists(lists, users, names, batch_size)

    def _lists(self, users, n_items, **rules):
        """Read users and rules; return the user ids to show and the `ListMaker`."""
        check_is_fitted(self)
        model = self._fitted
        users = read_ids(users, "users", model.user_table.ids_to_read_by)
        check_integer("n_items", n_items, 1)
        rules = read_rules(model, users, n_items, self._id_columns, **rules)
        rows = model.find_users(users)
        self._warn_of_foreign(users[rows < 0], len(rows))
        if rules.filter_seen:
            warn_of_unknown_histories(model, rows, "it may be recommended to them")
        how = {"num_threads": self._num_threads, "verbose": self.verbose}
        # If all users are known, return the fitted ids: the same dtype makes joins safe.
        shown = model.user_table.ids_of(rows) if (rows >= 0).all() else users
        return shown, ListMaker(model, rows, rules, n_items, **how)

    def similar_items(
        self,
        items: Any,
        n_items: int = 10,
        *,
        as_frame: bool | Literal["pandas", "polars", "pyarrow"] = False,
    ) -> tuple[np.ndarray, np.ndarray] | Table:
        """Find the most similar items to given items.

        Parameters
        ----------
        items : array-like of shape (n_queries,)
            Item ids.
        n_items : int, default=10
            Number of similar items per query, >= 1.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            As in :meth:`recommend`.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_items)
            Ids of other items, most similar first; None if there are not enough.
        similarities : ndarray of shape (n_queries, n_items), float32
            Cosine similarities of item factors without biases, in [-1, 1]; NaN where the id is
            None.
        table : DataFrame or pyarrow.Table of shape (<= n_queries * n_items, 4)
            Returned instead with `as_frame`: one row per similar item, with columns `item` (named
            as in the DataFrame given to `fit`), `rank` (from 1), `similar` and `score`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        KeyError
            If an item is unknown.
        ValueError
            If `items` is not 1-D; if `n_items` is not an integer >= 1; for `as_frame` as in
            :meth:`recommend`.
        ImportError
            If the library of `as_frame` is not installed.

        See Also
        --------
        similar_users : The same for users.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["cat", "Heat"],
        ...          ["cat", "Alien"], ["dan", "Up"], ["dan", "Coco"], ["bob", "Coco"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.similar_items(["Alien", "Up"], n_items=1)[0].tolist()
        [['Heat'], ['Coco']]
        """
        return self._similar("item", items, n_items, as_frame)

    def similar_users(
        self,
        users: Any,
        n_users: int = 10,
        *,
        as_frame: bool | Literal["pandas", "polars", "pyarrow"] = False,
    ) -> tuple[np.ndarray, np.ndarray] | Table:
        """Find the most similar users to given users.

        Parameters
        ----------
        users : array-like of shape (n_queries,)
            User ids. New users must be folded in first (:meth:`fold_in`).
        n_users : int, default=10
            Number of similar users per query, >= 1.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            As in :meth:`recommend`.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_users)
            Ids of other users, most similar first; None if there are not enough. Users with neither
            interactions nor features are never returned.
        similarities : ndarray of shape (n_queries, n_users), float32
            Cosine similarities of user factors, in [-1, 1]; NaN where the id is None.
        table : DataFrame or pyarrow.Table of shape (<= n_queries * n_users, 4)
            Returned instead with `as_frame`: one row per similar user, with columns `user` (named
            as in the DataFrame given to `fit`), `rank` (from 1), `similar` and `score`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        KeyError
            If a user is unknown.
        ValueError
            If `users` is not 1-D; if `n_users` is not an integer >= 1; for `as_frame` as in
            :meth:`recommend`.
        ImportError
            If the library of `as_frame` is not installed.

        See Also
        --------
        similar_items : The same for items.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["cat", "Heat"],
        ...          ["cat", "Alien"], ["dan", "Up"], ["dan", "Coco"], ["bob", "Coco"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.similar_users(["ann", "bob"], n_users=1)[0].tolist()
        [['cat'], ['dan']]
        """
        return self._similar("user", users, n_users, as_frame)

    def _similar(self, of, ids, n, as_frame):
        """Find similar items or users."""
        check_is_fitted(self)
        model, side, library = self._fitted, int(of == "item"), frame_library(as_frame)
        known = (model.users, model.items)[side]
        ids = read_ids(ids, f"{of}s", known)
        check_integer(f"n_{of}s", n, 1)
        rows = find_known(known, ids, of, (model.find_users, model.find_items)[side])
        (model.check_users_finite, model.check_items_finite)[side]()
        columns, scores = similar_rows(
            model.plain_factors[side],
            model.norms_of(of),
            rows,
            n,
            candidates=model.known_users if of == "user" else None,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )
        if library is not None:
            name = model.id_names[side]
            names = name, "similar" if name != "similar" else f"similar_{of}"
            return tidy(known[rows], known, columns, scores, names, library)
        return pick_ids(known, columns), scores

    def item_vectors(self, *, equal_norms: bool = False) -> np.ndarray:
        """Return the vectors of all items, for a nearest-neighbor index.

        Their inner products with :meth:`user_vectors` are the scores of :meth:`predict`.

        Parameters
        ----------
        equal_norms : bool, default=False
            Append a column that gives all vectors the same norm. The largest inner products are
            then also the smallest Euclidean and cosine distances, for indexes that do not support
            inner products or search poorly with them.

        Returns
        -------
        vectors : ndarray of shape (n_items, k), float32
            Copy of `item_factors_`, including biases; row i belongs to ``items_[i]``. Items added
            by :meth:`fold_in_items` come last and leave other rows unchanged, except for the
            column of `equal_norms` if an added item has the largest norm.

        Raises
        ------
        NotFittedError
            Before `fit`.

        See Also
        --------
        item_rows : Row numbers of items.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> scores = model.user_vectors(["bob"]) @ model.item_vectors().T
        >>> bool(abs(scores[0, 1] - model.predict([["bob", model.items_[1]]])[0]) < 1e-6)
        True
        """
        check_is_fitted(self)
        vectors = self.item_factors_
        self._fitted.check_items_finite()
        return with_equal_norms(vectors) if equal_norms else vectors.copy()

    def item_rows(self, items: Any) -> np.ndarray:
        """Return the row numbers of items in `item_vectors`; ``items_[rows]`` is the inverse.

        Parameters
        ----------
        items : array-like of shape (n,)
            Item ids.

        Returns
        -------
        rows : ndarray of shape (n,), intp

        Raises
        ------
        NotFittedError
            Before `fit`.
        KeyError
            If an item is unknown.
        ValueError
            If `items` is not 1-D.
        """
        check_is_fitted(self)
        ids = read_ids(items, "items", self.items_)
        return find_known(self.items_, ids, "item", self._fitted.find_items)

    def user_vectors(self, users: Any, *, equal_norms: bool = False) -> np.ndarray:
        """Return the vectors of users, to query an index of :meth:`item_vectors`.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. Unknown users get the vector of the mean user.
        equal_norms : bool, default=False
            As in :meth:`item_vectors`.

        Returns
        -------
        vectors : ndarray of shape (n_users, k), float32

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `users` is not 1-D or has missing ids.

        Warns
        -----
        DataWarning
            If unknown user ids have a different type from the fitted ones.
        """
        check_is_fitted(self)
        users = read_ids(users, "users", self._fitted.user_table.ids_to_read_by)
        rows = self._fitted.find_users(users)
        self._warn_of_foreign(users[rows < 0], len(rows))
        vectors = self._fitted.user_rows(rows)
        check_finite_model(vectors)
        return with_zeros(vectors) if equal_norms else vectors

    def explain(self, user: Any, item: Any, *, by_feature: bool = True) -> pd.DataFrame:
        """Decompose the score of a user-item pair into contributions, for ``backbone="als"``.

        The normal equations express the user's factors as a sum over the items of the history and
        the judge's preferences, and the item's factors as a sum over interactions, item features
        and preferences. The score is the sum of the products.

        Parameters
        ----------
        user : user id
            An unknown user is treated as the mean user.
        item : item id
        by_feature : bool, default=True
            How to present the joint contribution of the user's history and the item's features. If
            True, it is listed by feature, and the history keeps the rest: the evidence from shared
            users. If False, it is listed by item of the history, without features.

        Returns
        -------
        table : DataFrame
            Columns `kind`, `source` and `contribution`, sorted by contribution within a kind. The
            contributions sum to the score returned by `predict`. Kinds:

            - `history`: an item of the user's history. Users without interactions or features have
              a single row `mean_user` instead.
            - `feature`: a feature of the item, liked or disliked according to the user's history.
            - `user_feature`: a feature of the user, according to the prediction from `user_data`;
              it replaces `history` for users without interactions.
            - `preference`: an item that the judge preferred or rejected for this user.
            - `item_preference`: this item, preferred or rejected by the judge for any user.
            - `bias`: the item bias in the user's period.
            - `remainder`: the residual of the sweeps, and the change by the final update of users
              (`recency_power`). It is large after too few iterations, or if many users of the fit
              have been folded in again.

            `source` contains item ids, or feature names from `get_feature_names_out()` of
            `item_encoder_` and `user_encoder_`: ``genres=Crime`` is the category or word *Crime* in
            column *genres*. For the main reasons use ``table.nlargest(5, "contribution")``, for
            titles ``table["source"].map(titles)``, and for one sentence per pair
            :meth:`explain_lists`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        KeyError
            If the item is unknown.
        ValueError
            If `user` or `item` is not a single id; if the factors are from BPR, LMF or
            :meth:`from_factors`, which do not solve normal equations.

        Notes
        -----
        The influence of preferences and features through *other* items and users is included but
        not listed separately. Folded-in users have no preferences. The equations are in the user
        guide, under "The method".

        References
        ----------
        Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets",
        section 5, for the history; the other contributions are specific to this package.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> genres = {"Alien": "SciFi|Horror", "Heat": "Crime", "Up": "Family", "Tron": "SciFi"}
        >>> model = SelectiveLLMRegularizedMF(
        ...     factors=2, regularization=1, item_data=genres, random_state=0).fit(likes)
        >>> table = model.explain("bob", "Tron")
        >>> table[["kind", "source"]]
                kind      source
        0    history       Alien
        1    feature  text=SciFi
        2       bias        None
        3  remainder        None
        >>> bool(abs(table["contribution"].sum() - model.predict([["bob", "Tron"]])[0]) < 1e-6)
        True
        """
        model = self._explainable()
        user = read_id(user, "user", model.user_table.ids_to_read_by)
        item = read_id(item, "item", model.items)
        (row,) = model.find_users(user)
        (column,) = find_known(model.items, item, "item", model.find_items)
        if row < 0:
            self._warn_of_foreign(user, 1)
        check_explainable(model)
        return explain(model, row, column, by_feature=by_feature)

    def _explainable(self):
        """Return the fitted model if its scores can be explained, else raise."""
        check_is_fitted(self)
        model = self._fitted
        if not isinstance(model.backbone, ALSBackbone) or model.given is not None:
            made = "from_factors" if model.given is not None else f"backbone={self.backbone!r}"
            raise ValueError(
                "explain decomposes solutions of normal equations, so it requires factors fitted "
                f"with backbone='als'; got factors of {made}."
            )
        return model

    def explain_lists(
        self, X: Table, *, n_sources: int = 2, title_col: str | None = None
    ) -> pd.DataFrame:
        """Explain recommendations in one sentence per user-item pair, for ``backbone="als"``.

        Parameters
        ----------
        X : table or array of shape (n_pairs, n_columns)
            User and item ids: a table returned by :meth:`recommend`, or in the columns `user_col`
            and `item_col`.
        n_sources : int, default=2
            Maximum number of history items, and of features, per sentence, >= 1.
        title_col : str or None, default=None
            Column of the fitted item data with the titles to show. If None, a column called "title"
            or "name" (ignoring case), else the first text column whose values are nearly all
            different and mostly of several words. Items without a title are shown by id.

        Returns
        -------
        table : DataFrame of shape (n_pairs, 4)
            Users and items, named as in :meth:`recommend` (or `user` and `item` if one of these
            names is "title" or "reason"); `title`; and `reason`, e.g.
            ``"because they liked Heat and Casino; genres=Crime"``. The index is that of X if X is a
            pandas DataFrame.

        Raises
        ------
        NotFittedError
            Before `fit`.
        KeyError
            If an item is unknown.
        TypeError, ValueError
            For X as in `predict`; for a model as in :meth:`explain`; for an invalid `n_sources` or
            `title_col`.

        Warns
        -----
        DataWarning
            If unknown user ids have a different type from the fitted ones.

        Notes
        -----
        For each kind, a sentence names the largest contributions of :meth:`explain` that account
        for at least 5 % of all positive ones: items of the history, features, a preference of the
        judge for the item, and its popularity. Only features that are values of a column are named,
        not coordinates of vectors or the punctuation and length of texts.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> genres = {"Alien": "SciFi|Horror", "Heat": "Crime", "Up": "Family", "Tron": "SciFi"}
        >>> model = SelectiveLLMRegularizedMF(
        ...     factors=2, regularization=1, item_data=genres, random_state=0).fit(likes)
        >>> model.explain_lists([["bob", "Heat"], ["bob", "Tron"]])["reason"].tolist()
        ['because they liked Alien', 'because of text=SciFi; items like it are popular']
        """
        model = self._explainable()
        check_integer("n_sources", n_sources, 1)
        titles = model.item_columns.titles(title_col, model.items)
        columns, names = self._id_columns, model.id_names
        X = collect_pairs(X, names, columns)
        users, items = read_pairs(X, names, columns, "X")
        rows = model.find_users(users)
        columns = find_known(model.items, items, "item", model.find_items)
        self._warn_of_foreign(users[rows < 0], len(rows))
        check_explainable(model)
        if {"title", "reason"} & set(names):
            names = DEFAULT_NAMES
        return pd.DataFrame(
            {
                names[0]: users,
                names[1]: items,
                "title": titles[columns],
                "reason": reasons(model, rows, columns, titles, n_sources),
            },
            index=getattr(X, "index", None) if isinstance(X, pd.DataFrame) else None,
        )

    def fold_in(
        self,
        X: Table | None = None,
        y: Any = None,
        *,
        known: Literal["append", "replace"] | None = None,
        user_data: Any = None,
    ) -> Self:
        """Compute the factors of users from interactions and user data, with items fixed.

        The model is modified; to keep the original, fold in to a ``copy.copy`` of it. New users are
        appended to `users_`.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_columns), or None, default=None
            Interactions of these users. Rows with unknown items are ignored. If None, only
            `user_data` is used.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.
        known : "append", "replace" or None, default=None
            What to do with existing interactions of known users. "append" adds X to them, as later
            rows: repeated pairs are summed, recency is determined by `time_col` (else the rows of X
            are the newest), and preferences of the judge keep their effect. "replace" discards
            them, and these preferences. If None, replace, with a warning if something is lost.
        user_data : table, Series, dict or None, default=None
            Like the parameter `user_data`, with the same columns in any order, for users in X or
            others. New users without interactions are placed by their features; known users keep
            their interactions, and their features are updated.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            As in `predict`; if times have a different type from those in `fit`.
        ValueError
            As in `predict`; if both X and `user_data` are None; if `user_data` is given but the
            model has no user features or (when loaded from a file) no `user_encoder_`; for
            strengths as in `fit`; if factors are not finite; if X is to be appended to a history
            that a model built by :meth:`from_factors` does not know.

        Warns
        -----
        DataWarning
            If X is empty; if `known` is None and information about users is replaced; if items are
            unknown; if unknown user ids have a different type from the known ones; if all times of
            a user are far from those in `fit`; if X is None and `user_data` has nothing new; if
            values of `user_data` do not match the type of their column in `fit`, and are treated as
            missing.

        Notes
        -----
        For BPR, LMF and given factors, a known user moves by the difference that the new
        interactions make to the least-squares solution; the offset of the current factors from that
        solution, due to the fit and the judge, is kept.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.fold_in([["bob", "Up"], ["dan", "Heat"]], known="append").users_.tolist()
        ['ann', 'bob', 'cat', 'dan']
        >>> model.recommend(["bob"], 3)[0].tolist()  # neither Alien nor Up again
        [['Heat', None, None]]

        A user with nothing but `user_data`:

        >>> user_data = {"ann": "nurse", "bob": "nurse", "cat": "pilot"}
        >>> model = SelectiveLLMRegularizedMF(
        ...     factors=2, regularization=1, user_data=user_data, random_state=0).fit(likes)
        >>> model.fold_in(user_data={"eve": "pilot"}).recommend(["eve"], 1)[0].tolist()
        [['Up']]
        """
        check_is_fitted(self)
        if known not in (None, "append", "replace"):
            raise ValueError(f"known must be 'append', 'replace' or None; got {known!r}.")
        described, model = None, self._fitted
        if user_data is not None:
            name = self._id_name("user", getattr(self, "feature_names_in_", ()))
            described = describe_users(model, self.user_encoder_, user_data, name)
        if X is None:
            return self._assign({"_fitted": fold_in_described(model, described, added=None)})
        X = self._collect(X, y)
        if has_no_rows(X, y):
            return self._fold_in_nothing(described)
        check_same_columns(self, X, **self._columns)
        # Returns may be subtracted from known interactions.
        signed = known == "append" and self.negatives == "net"
        added = _index_table(
            X,
            y,
            **self._columns,
            negatives="keep" if signed else self.negatives,
            usual_width=self.n_features_in_,
        )
        model = fold_in_users(model, added, known, self.time_col, described)
        if described is not None:
            model = fold_in_described(model, described, added)
        return self._assign({"_fitted": model})

    def _fold_in_nothing(self, described):
        """Fold in a table without rows, and `described` users, if any."""
        if described is None:
            warn("X is empty, so fold_in changes nothing.")
            return self
        return self._assign({"_fitted": fold_in_described(self._fitted, described, added=None)})

    def fold_in_items(self, item_data: Any) -> Self:
        """Add new items by their features, with users fixed.

        They get the same factors as items without interactions in `fit`: the shrunken prediction of
        the ridge regression on the features, and the predicted popularity. They can then be
        recommended, and used in the X of `fold_in` and `predict`. The model is modified; to keep
        the original, use a ``copy.copy`` of it.

        Parameters
        ----------
        item_data : table, Series or dict
            Like the parameter `item_data`, with the same columns in any order. Known items are not
            changed.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the model has no item features or (when loaded from a file) no `item_encoder_`; for
            item data as in `fit`.
        TypeError
            For item data as in `fit`.

        Warns
        -----
        DataWarning
            If no item is new; if item ids have a different type from the known ones; if values do
            not match the type of their column in `fit`, and are treated as missing.

        Notes
        -----
        The parameter `item_data` is not changed: before refitting, set it to a table that includes
        the new items. Weights of missing entries (`missing_power`) are relative to the mean
        popularity of all items, as in a fit that lists the new ones.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> genres = {"Alien": "SciFi", "Heat": "Crime", "Up": "Family"}
        >>> model = SelectiveLLMRegularizedMF(
        ...     factors=2, regularization=1, item_data=genres, random_state=0).fit(likes)
        >>> model.fold_in_items({"Tron": "SciFi", "Coco": "Family"}).items_.tolist()
        ['Alien', 'Heat', 'Up', 'Tron', 'Coco']
        >>> model.recommend(["bob"], items=["Tron", "Coco"], n_items=1)[0].tolist()
        [['Tron']]
        """
        check_is_fitted(self)
        model = self._fitted
        check_foldable(model.features, self.item_encoder_, "fold_in_items", "item")
        name = self._id_name("item", getattr(self, "feature_names_in_", ()))
        table = read_item_data(item_data, name)
        new = model.find_items(table.ids) < 0
        if not new.any():
            warn(f"All {len(new)} items of item_data are already known, so nothing changes.")
            return self
        warn_of_unknown(
            "items", table.ids[new], len(new), model.items, "they are added as new items",
            tolerated="same type",
        )  # fmt: skip
        features = transform_items(self.item_encoder_, table, model.features.shape[1])[new]
        ids = table.ids[new]
        columns = ItemColumns.of(table, ids)
        return self._assign({"_fitted": fold_in_new_items(model, ids, features, columns)})

    # -- files -------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Save the fitted model to a file without pickle, safe to load from untrusted sources.

        Saved are ids, factors, interactions, everything that `recommend`, `similar_items`,
        `fold_in` and `explain` need, and all parameters that are plain data or objects of this
        package with plain parameters.

        Not saved are `judge`, `item_data` and `user_data`, nor `gate`, `item_encoder` and
        `random_state` if they are other objects. A loaded model has the defaults of these, and its
        `judge_`, `gate_`, `item_encoder_` and `user_encoder_` are None. To keep them, pickle the
        model, or set the parameters again before refitting or a search; otherwise `fit` warns, also
        in clones. Scalar columns of `item_data` are saved for `max_per_group` and
        :meth:`explain_lists` if their values are of types that ids may have.

        Parameters
        ----------
        path : str or path-like
            File with any name (e.g. ``model.npz``). An existing file is replaced once the new one
            is complete.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If ids cannot be stored (supported are str, int, float, bool, bytes, date, datetime,
            UUID, Decimal, tuples of these, and mixtures); if `backbone` or `slates` is a subclass
            of this package's classes; if factors are not finite.

        See Also
        --------
        load : Load a saved model.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.npz")
        ...     loaded = SelectiveLLMRegularizedMF.load(f"{folder}/model.npz")
        >>> bool((loaded.predict(likes) == model.predict(likes)).all())
        True
        """
        check_is_fitted(self)
        save_model(self, path, __version__)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Load a model saved by `save`. The file need not be trusted.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        model : SelectiveLLMRegularizedMF
            It predicts like the saved one; see `save` for what it lacks.

        Raises
        ------
        ValueError
            If the file is not a saved model, is damaged, or was tampered with.
        OSError
            If the file cannot be read.

        Warns
        -----
        ModelVersionWarning
            If the model was saved by another version of this package.
        """
        return load_model(cls, path, __version__)

    # Pickle-free formats such as skops ask for the state: it equals the content of a file of
    # `save`, numpy arrays and text only. Pickle and copies keep everything.

    def __copy__(self):
        # A copy shares the factors, which refine then copies instead of changing them in place.
        model = getattr(self, "_fitted", None)
        if model is not None and model.given is not None:
            self._fitted = replace(model, given=replace(model.given, is_shared=True))
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __getstate__(self):
        return plain_state(self, __version__)

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (type(self),), {**vars(self), "_version": __version__}

    def __setstate__(self, state):
        if "_version" not in state:
            restore_plain_state(self, state, __version__)
            return
        state = dict(state)
        check_version(state.pop("_version"), __version__)
        super().__setstate__(state)


def _index_table(X, y, **columns):
    """Index a table of interactions; reject a sparse matrix like `predict`."""
    if sp.issparse(X):
        read_columns(X)  # raises with an explanation
    return index_interactions(X, y, **columns)
