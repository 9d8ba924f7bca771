"""The estimator: parameters and documented methods; what they do is in the folders."""

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
from ._data._ids import encode, pick_ids
from ._data._interactions import index_interactions, of_active_users
from ._data._item_columns import ItemColumns
from ._data._item_encoder import AutoItemEncoder
from ._data._item_features import encode_items, feature_names, transform_items
from ._data._item_table import read_item_data, warn_of_better_ids
from ._data._requested_ids import find_known, read_id, read_ids, warn_of_unknown
from ._data._strengths import KINDS
from ._data._tables import check_same_columns, column_names, describe_columns, read_columns
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
from ._serving._explain import explain
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

# Parameters with parameters of their own: what short values stand for, ...
_SHORTHANDS: dict[str, dict[Any, type]] = {
    "backbone": {name: kind for kind, name in SPECIFICATIONS.items()},
    "slates": {None: SlateSampler},
    "gate": {"auto": ReliabilityGate},
    "item_encoder": {"auto": AutoItemEncoder},
}
# ... and what to write where there is nothing to set them of.
_INSTANCES = {
    "gate": "ReliabilityGate()",
    "judge": "AnthropicJudge(max_cost=1)",
    "item_encoder": "AutoItemEncoder()",
}
_OF_BACKBONE = ("factors", "regularization", "alpha", "iterations")
_AUTO = StrOptions({"auto"})
_LARGEST_RECENCY_POWER = 8.0
_LARGEST_LLM_WEIGHT = 4.0  # interactions; more was hardly meant relative to alpha


@public
class SelectiveLLMRegularizedMF(DisplayMixin, CallbackSupportMixin, BaseEstimator):
    r"""Matrix factorization, regularized by a judge's preferences where they can be trusted.

    ALS on implicit feedback, with item factors shrunk toward a linear prediction from item
    features. Pairwise preferences from an LLM, collected offline, act as an additional regularizer
    wherever a calibrated gate expects them to be correct: with short histories, rare items, an
    unsure model. Nothing of the LLM is left at prediction time.

    A sample is one interaction: a row with a user id and an item id. Ids are any hashable scalars.

    Parameters
    ----------
    factors : "auto", int or None, default="auto"
        Number of latent factors. "auto" is found by `tuning`, here and below; fixed: 64; 16 for
        LMF. None: the fixed value.
    regularization : "auto", float or None, default="auto"
        L2 penalty :math:`\lambda` > 0 of the factors; the right value grows with the number of
        users and with `alpha`. Fixed, and None: 85 for ALS, .05 for BPR, 6 for LMF.
    alpha : "auto", float or None, default="auto"
        Confidence > 0 of an interaction per unit of strength. Fixed, and None: 50 for ALS, 10 for
        LMF. BPR, to which strengths do not matter, has none.
    iterations : "auto", int or None, default="auto"
        For ALS the number of sweeps, each over users, items and feature prior; for BPR and LMF that
        of their epochs, which are not searched for. Fixed, and None: 20 for ALS, 100 for BPR, 50
        for LMF.
    backbone : "als", "bpr", "lmf", ALS, BPR or LMF, default="als"
        What is factorized with: alternating least squares, or `implicit`'s Bayesian personalized
        ranking or logistic matrix factorization. The factors of the latter two are kept by a
        proximal term while features and preferences act; see Notes. A string stands for an instance
        with its defaults: :class:`~sklearn_selreg.ALS` and the others have further settings.
    user_col, item_col : int or str, default=0 and 1
        Columns of `X` with the ids: positions, or names in a DataFrame.
    time_col : int, str or None, default=None
        Column of `X` that orders the interactions of a user. None: order of the rows.
    strengths : "auto", "raw", "log" or "binary", default="auto"
        How the strengths `y` count, summed over repeated rows: as they are, as ``log(1 + y)``
        relative to its mean, or all as 1. Play counts and amounts span orders of magnitude; raw,
        the largest ones drown the others. "auto" is "raw" where all are 1. Fixed: "raw".
    negatives : "error" or "net", default="error"
        What strengths below 0 are. "net": returns, which are taken off what the user has of the
        item; a pair that has nothing left is no interaction.
    item_data : table, Series, dict or None, default=None
        What is known about items. A table of any library holds the ids in the column named as the
        item column of `X`, of pandas else in its index; a Series in its index; a dict maps ids to
        text, numbers, or dicts of columns. Items that nobody interacted with can be recommended if
        they are listed here.
    item_encoder : "auto", transformer or None, default="auto"
        Makes features of `item_data`: a scikit-learn transformer, fitted on its columns; "auto" for
        :class:`~sklearn_selreg.AutoItemEncoder`; None for no features.
    user_data : table, Series, dict or None, default=None
        What is known about users, as `item_data` of items, such as age and occupation. Features are
        made of it by an :class:`~sklearn_selreg.AutoItemEncoder`, and users are drawn by
        `regularization` to what a ridge regression on these expects. Users without interactions
        are recommended what such users like if they are listed here. A judge is not told.
    prior_strength : "auto" or float, default="auto"
        How strongly > 0 item factors lean on features: their penalty is `prior_strength` times
        `regularization` times the squared distance from what a ridge regression on the features
        expects. Without features it does nothing. Fixed: 2.5.
    item_bias : "auto" or float, default="auto"
        Score >= 0 that an item gains by being popular: `item_bias * n / (n + 5)` for n
        interactions, with features shrunk to what they lead to expect. 0: none. Fixed: .25.
    popularity_periods : "auto" or int, default="auto"
        With `time_col`, that popularity is one of the time: the interactions are cut into so many
        periods of about equally many, and n is what an item would have, had it always been as
        popular as in the period. 1: popularity does not change. Fixed: 8.
    popularity_at : "user" or "last", default="user"
        Which period counts for a user: that of the user's newest interaction, or the last one.
        Settings are found with "user": what is held out lies before the last period.
    judge : judge of `sklearn_selreg.judges` or None, default=None
        Source of preferences. A `PrecomputedJudge` is used as is; any other judge is queried on
        slates selected by the estimator. If None, no judge is used.
    slates : SlateSampler or None, default=None
        Which slates a judge is asked about; see :class:`~sklearn_selreg.SlateSampler`. None: one
        with its defaults.
    gate : "auto", ReliabilityGate, other transformer or None, default="auto"
        Weighs preferences. "auto": `ReliabilityGate()`. None: all preferences weigh 1, wherever
        they are (global distillation). Another transformer needs ``fit(Z, y, groups=)``, with an
        argument `sample_weight` if it wants the weights of pairs, and a `transform` that gives
        one column of finite weights >= 0, as log-odds; Z is a DataFrame of the gate's evidence.
    llm_weight : float, default=0.16
        Weight >= 0 of all preferences, relative to `alpha`: with 1 a preference of weight 1 counts
        as an interaction does. (:math:`\mu` is `llm_weight` times `alpha`; for BPR, LMF and given
        factors times 50.)
    margin : float, default=0.4
        By how much >= 0 the score of the preferred item should be larger at most; beyond it a
        preference does nothing. A weight of the gate asks for less: for what its log-odds are
        worth, on top of the difference in the model without judge. Without gate all preferences
        ask for the margin. For BPR and LMF, whose scores have another scale, the unit of `margin`
        and `item_bias` is 10 standard deviations of a user's scores, about as it is for ALS.
    tuning : "fast", "thorough" or None, default="fast"
        How settings that are "auto" are found: what each user did last is held out, and some 15
        small models are compared by how they rank it; see Notes. "thorough" goes through the
        settings up to three times, on more interactions. None: nothing is searched, all are fixed.
        With fewer than 200 users to hold something out of they are fixed, too.
    warm_start : bool, default=False
        Go on from the factors of the last `fit`, which are found by id: new users are folded in,
        new items start as their features lead to expect (else at random), and those no longer in
        `X` are left out. The gate is calibrated again, from a new start.
    n_jobs : int or None, default=None
        Threads, not 0; None or a negative number: all cores. Small problems run on one thread.
        Results do not depend on it, except for BPR and LMF, which therefore use one thread when
        `random_state` is set.
    random_state : int, RandomState, Generator or None, default=None
        Of the factors' start. An int gives the same result in each call, and the same start as
        `implicit` has with this int.
    verbose : int, default=0
        Above 0: progress bars over the choice of slates, over all sweeps, with those that
        calibrate the gate, and over users who are recommended or ranked for. A judge has its own.
        Callbacks (`set_callbacks`, scikit-learn 1.9) are told of the same.

    Attributes
    ----------
    factors_, regularization_, alpha_, iterations_ : int, float, float, int
        What was used of these parameters, found or given; None where the backbone has none, as of
        the next.
    prior_strength_, item_bias_, missing_power_, recency_power_ : float
        Likewise.
    strengths_, popularity_periods_ : str, int
        Likewise.
    tuning_ : DataFrame
        Settings that were compared, if any; made at each access.
    users_ : ndarray of shape (n_users,)
        User ids, as they were given, those of `user_data` included; sorted where they sort.
    items_ : ndarray of shape (n_items,)
        Item ids, those of `item_data` included.
    user_factors_ : ndarray of shape (n_users, n_columns), float32
        `factors` columns, and with `item_bias`, BPR or LMF further ones for the user's period (a
        single one of ones, if there is a single period). A user without any interaction is what
        `user_data` leads to expect, else the mean of the others, in the last period.
    item_factors_ : ndarray of shape (n_items, n_columns), float32
        Likewise; the further columns hold the item biases, in each period.
    gate_ : ReliabilityGate or None
        The fitted gate; None without judge or gate, or without any slate to calibrate it on (then
        no preference is trusted).
    judge_ : judge of `sklearn_selreg.judges` or None
        The judge.
    judge_stats_ : dict of str to int
        Counts: `slates` that the judge answered (be it with no opinion), `answers` with an opinion
        (a slate may be sent in several orders), `slates_used`, and `pairs`; with a gate also
        `calibration_slates`, `calibration_pairs` and `pairs_weighted` above 0. Empty without judge.
    preferences_ : DataFrame
        The preferences with their evidence and weights; made at each access.
    judge_summary_ : str
        What the judge adds, in one sentence; made at each access.
    item_encoder_ : transformer or None
        The fitted encoder.
    user_encoder_ : AutoItemEncoder or None
        Likewise of `user_data`.
    loss_curve_ : list of float
        With `compute_loss` of the backbone: the objective after each regularized sweep (without
        judge, after each sweep). It never rises.
    n_iter_ : int
        Number of sweeps, and of epochs of BPR and LMF.
    n_features_in_ : int
        Number of columns of `X` in `fit`; 2 for a sparse matrix. `predict` needs only those with
        users and items.
    feature_names_in_ : ndarray of shape (`n_features_in_`,), object
        Their names, if `X` has names that are all strings.

    See Also
    --------
    ReliabilityGate : Where a judge can be trusted.
    sklearn_selreg.judges.PrecomputedJudge : Gives recorded answers.
    sklearn_selreg.metrics.ranking_report : Evaluates by regime.

    Notes
    -----
    The objective is in the documentation of the method. A slate of the judge is used if its history
    lies within the user's fitted interactions. Candidates the user was fitted on, but the judge was
    not shown, calibrate the gate; the other ones regularize.

    Settings are found in the rows given to `fit` only, and without the judge: what is held out for
    that is fitted on in the end. They are those of the highest criterion (NDCG@10, and AUC of all
    and of rare items) among those that rank no worse than popularity and plain `implicit`. They do
    not depend on `random_state`. `warm_start` keeps those of the last fit.

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
    >>> items.shape, scores.dtype
    ((1, 2), dtype('float32'))
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

    # Names of the parameters that were set since this was cloned, as by a search; None if it is no
    # clone.
    _set_since_cloned: frozenset[str] | None = None
    _make_losses = staticmethod(preference_losses)  # what a subclass with another loss replaces

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
        """Set parameters, also those of their parts, as `gate__C` or `backbone__recency_power`.

        A part that is "auto", None or a string (such as `slates` or `backbone`) becomes an instance
        with its defaults first.

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
            For a name that does not exist, and for a parameter of something that is None, such as
            `judge`: pass an instance of it first.
        """
        params = expand_shorthands(self, params, _SHORTHANDS)
        check_nested(self, params, _INSTANCES, _SHORTHANDS)
        if self._set_since_cloned is not None:
            self._set_since_cloned |= set(params)
        return super().set_params(**params)

    def __sklearn_clone__(self):
        clone = super().__sklearn_clone__()
        clone._set_since_cloned = frozenset()  # a search sets parameters of clones
        if hasattr(self, "_left_behind"):  # a clone of a loaded model lacks the same parameters
            clone._left_behind = self._left_behind
        return clone

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Ids are categories. A sparse matrix is no table of samples: `fit` reads it as users x
        # items, without y, and `predict` refuses it.
        tags.input_tags.categorical = True
        tags.input_tags.sparse = False
        tags.target_tags.required = False
        tags.target_tags.positive_only = True
        return tags

    # -- what was fitted ---------------------------------------------------------------------------

    @property
    def users_(self) -> np.ndarray:
        """User ids, as they were given, those of `user_data` included."""
        return self._fitted_model.users

    @property
    def items_(self) -> np.ndarray:
        """Item ids, those of `item_data` included."""
        return self._fitted_model.items

    @property
    def user_factors_(self) -> np.ndarray:
        """Factors of the users, and their periods."""
        return self._fitted_model.user_factors

    @property
    def item_factors_(self) -> np.ndarray:
        """Factors of the items, and their biases."""
        return self._fitted_model.item_factors

    @property
    def _fitted_model(self) -> FittedModel:
        try:
            return vars(self)["_fitted"]
        except KeyError:
            name = type(self).__name__
            raise AttributeError(
                f"{name!r} object is not fitted, so it has none of its factors."
            ) from None

    # -- fitting -----------------------------------------------------------------------------------

    @autologged
    @_fit_context(prefer_skip_nested_validation=False)
    @reports_to_callbacks
    def fit(self, X: Table, y: Any = None) -> Self:
        """Fit the factors, and with a judge also the gate.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_columns), or sparse matrix
            One interaction a row. Tables are those of pandas, polars and pyarrow, and queries of
            polars, duckdb, ibis and others, which are collected. A scipy sparse matrix holds the
            strengths of users x items; ids are then the numbers of rows and columns.
        y : array-like of shape (n_samples,), default=None
            Strengths >= 0; repeated pairs add up; 0 names a user and an item without interaction.
            Below 0: see `negatives`. None: 1.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        TypeError
            For a parameter, column or judge of a wrong kind.
        ValueError
            For a parameter out of range; a table that is empty, or has missing or infinite ids;
            strengths that are negative or not finite, or none above 0; duplicate ids in `item_data`
            or `user_data`; recorded judgments of which no slate fits the interactions; a judge that
            reads texts, but no `item_data` and ids that are numbers.
        JudgeError
            If the judge's service refuses to answer.

        Warns
        -----
        JudgmentWarning
            If slates of the judge are dropped, or if it has no opinion; if its ratings follow the
            order in which candidates are shown; if asking stopped (`slates__stop_if_useless`).
        BudgetWarning
            If the judge has reached its budget.
        GateWarning
            If the gate has too little to learn from, or finds that the judge adds nothing.
        DataWarning
            If ids or columns may not be what was meant, or if the model was loaded, and lacks
            parameters it was saved with.
        ParameterWarning
            If `regularization` is so large that all users are recommended about the same; if no
            settings are found that rank as well as popularity and plain `implicit`; if a search
            finds settings again in each of its fits; if `llm_weight` or `recency_power` is far too
            large; if `negatives="net"` has no `y`.
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
        """Return all that a fit gives; assigned at once and last, so that it may fail before."""
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
        if "n_features_in_" in fitted:  # of a table that may have no names
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
        """Return the parameters that may be "auto"; 0 where the backbone has none."""
        spec = self._specification
        return {
            name: getattr(spec, name, 0.0) if name in OF_ALS else getattr(self, name)
            for name in FIXED
        }

    def _resolve(self):
        """Return the settings as far as they are known, and the backbone with them."""
        self._check_parts()
        fitted = None
        if self.warm_start and hasattr(self, "_fitted"):
            kind = BACKBONES[name_of(self._specification)]
            if isinstance(self._fitted.backbone, kind):  # otherwise it is refused later
                fitted = {name: getattr(self, f"{name}_") for name in FIXED}
        settings = resolve(self._given_settings(), self.time_col is not None, fitted)
        backbone = self._make_backbone(settings)
        if self.judge is not None and not is_auto(self.iterations):
            backbone.split(self._specification.refine_iterations)  # raises
        return settings, backbone

    def _check_parts(self):
        """Check the parameters of parts; those of a judge are checked when it is asked."""
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
                f"recency_power={power!r} leaves of each user hardly more than the newest "
                f"interaction: the one before counts 2**{power:g} times less. Values below 2 are "
                "usual.",
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
        """Find the settings that are free; return all, and what was found."""
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
        """Return the ids and factors to go on from; None before the first fit."""
        if not self.warm_start or not hasattr(self, "_fitted"):
            return None
        model = self._fitted
        fitted = model.backbone
        if type(fitted) is not type(backbone) or fitted.factors != backbone.factors:
            raise ValueError(
                "warm_start goes on from factors of the same kind: the model was fitted with "
                f"{fitted.factors} factors by {type(fitted).__name__}, and is to be fitted with "
                f"{backbone.factors} by {type(backbone).__name__}. Set warm_start=False, or "
                "clone it."
            )
        factors = Factors(
            *model.plain_factors, None, gain=model.fold_in_scale, own_bias=model.own_bias
        )
        return model.users, model.items, factors

    def _warn_of_what_a_file_lacked(self):
        """Warn if a loaded model is to be fitted without what the saved one had."""
        defaults = type(self)().get_params(deep=False)
        left_behind = getattr(self, "_left_behind", ())
        lost = [p for p in left_behind if is_default(getattr(self, p), defaults[p])]
        if lost:
            warn(
                f"The model was loaded from a file, which does not hold {', '.join(lost)}; it is "
                "fitted without, and will be another one. Give them again before fit: set_params("
                f"{', '.join(f'{p}=...' for p in lost)})."
            )

    def _check_judge(self) -> BaseJudge:
        """Check the judge, and what goes with it, before anything is asked; return it."""
        if not isinstance(self.judge, BaseJudge):
            raise TypeError(
                "judge must be a BaseJudge, such as PrecomputedJudge(judgments) of recorded "
                "answers, AnthropicJudge(max_cost=1) or LLMJudge.from_callable(f, name=, "
                f"version=); got {name_kind(self.judge)}."
            )
        self.judge._check_parameters()
        if self.llm_weight > _LARGEST_LLM_WEIGHT:
            warn(
                f"llm_weight={self.llm_weight!r} makes a preference weigh as much as so many "
                "interactions: it is relative to alpha. Values around 0.16 are usual.",
                ParameterWarning,
            )
        if self.gate is not None and not isinstance(self.gate, str) and not self.judge.is_recorded:
            try_gate(self.gate)
        return self.judge

    def _recorded_answers(self):
        """Return the answers of a judge that has them already; None otherwise."""
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
        if data.user_features is not None:  # what is asked depends on the rows of X alone
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
        """Read a query or a stream, once; all else is returned as it is."""
        return collect(X, aligned=None if y is None else "y", **self._columns)

    @property
    def _id_columns(self):
        """How to read tables after `fit`, which has warned of columns like these."""
        columns = {"user_col": self.user_col, "item_col": self.item_col}
        return columns | {"usual_width": self.n_features_in_}

    def _id_name(self, of, names):
        """Return the column with the ids, as item or user data may have it; `names`: of X."""
        column = self.item_col if of == "item" else self.user_col
        if isinstance(column, str):
            return column
        return names[column] if len(names) > column else None

    def _names_items(self):
        """Return whether item data says by itself which ids it is about, without columns of X."""
        return isinstance(self.item_col, str) or isinstance(self.item_data, pd.Series | dict)

    def _read_data(self, of, X):
        """Read the item or user data, as a table; None without. X None: it was read before."""
        data = getattr(self, f"{of}_data")
        if data is None:
            return None
        before = getattr(self, "feature_names_in_", ())
        names = before if X is None else column_names(X)
        return read_item_data(data, self._id_name(of, names), of=of)

    def _read(self, X, y):
        """Read interactions, item and user data, and make features."""
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
                "negatives='net' takes returns off what was bought, by the strengths y, of which "
                "there are none: each row counts as a purchase. Pass the quantities as y, or 1 for "
                "each row if no row is a return.",
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
        """Return the features of items or users, and the encoder; None without."""
        if table is None:
            return None, None
        encoder, ids, matrix = self.item_encoder, interactions.items, interactions.matrix
        if of == "user":
            encoder, ids = "auto", interactions.users
        data, name = getattr(self, f"{of}_data"), self._id_name(of, column_names(X))
        if isinstance(data, pd.DataFrame) and name not in data:
            counts = np.diff(matrix.indptr) if of == "user" else count_interactions(matrix)
            warn_of_better_ids(table, ids[counts > 0], name, of=of)
        return (None, None) if encoder is None else encode_items(encoder, table, ids, of=of)

    # -- factors made elsewhere --------------------------------------------------------------------

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
        """Make a fitted model of factors that were made elsewhere.

        It recommends and predicts at once; :meth:`refine` then lets a judge's preferences act.

        Parameters
        ----------
        user_ids, item_ids : array-like of shape (n_users,) and (n_items,)
            Unique ids.
        user_factors, item_factors : array-like of shape (n_users, k) and (n_items, k)
            Their products are the scores. Columns of biases are columns like others. A column of
            lists, as tables have it (pandas, polars, Arrow), does as well.
        interactions : table of shape (n_samples, n_columns), sparse matrix or None, default=None
            What the factors were made of: a table as in `fit`, or a sparse matrix with the users
            and items in the order of the ids. Without them nobody knows what users have seen:
            :meth:`recommend` warns that it may be recommended, and :meth:`refine` needs them. With
            them, users who are not among them have seen nothing.
        y : array-like of shape (n_samples,), default=None
            Strengths of the interactions, as in `fit`.
        base_confidence : float, default=0
            By how much >= 0 the confidence of an interaction is above `alpha` times its strength,
            in the library that made the factors: 1 in cmfrec, irspack, LensKit and Spark, 0 in
            implicit.
        count_offset : float or None, default=None
            How the penalty of a user grows with the number n of its interactions there:
            ``regularization * (n + count_offset)``, as in Spark (0) and irspack. None:
            `regularization`, whatever n is.
        copy : bool, default=True
            False: float32 arrays are not copied, and :meth:`refine` writes into them. A file that
            is mapped by ``np.load(path, mmap_mode="c")`` stays as it is.
        **parameters
            Of the estimator. `regularization` and `alpha` should be what the factors were made
            with: users are folded in by them, as by ALS, with `missing_power`, `recency_power` and
            `item_bias` 0. Of `item_data` a judge reads the texts; the factors do not lean on
            features, and `user_data` is not read. `max_per_group` of :meth:`recommend` needs
            `item_col` to be a name, or a dict or Series as `item_data`.

        Returns
        -------
        model : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            For factors or ids of other shapes, repeated ids, factors that are not finite or (with
            ``copy=False``) read-only, a number of `factors` that is another one, or a `backbone`
            other than "als"; for interactions as in `fit`; for other numbers.

        Warns
        -----
        DataWarning
            If users or items of the interactions have no factors; these rows are left out.

        Notes
        -----
        What these settings are in other libraries is told in the user guide, with an example for
        each.

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
                "backbone must be 'als' with given factors, to which users are folded in as by it; "
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
        """Let the judge's preferences act on given factors.

        Only the rows of judged users and items move, kept near what they were by a proximal term:
        time and memory grow with the judged slates and with X, not with the catalog. Refining again
        starts from the factors that were given.

        Parameters
        ----------
        X : table of shape (n_samples, n_columns), sparse matrix or None, default=None
            Interactions that the factors were made of, at least all those of the judged users: by
            them slates are placed, known positives told, seen items filtered and popularity
            counted. So the more of them the better. They replace those that the model knows; None:
            these.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            As in `fit`; without judge; for a model that is not from :meth:`from_factors`, or has
            no interactions if X is None.
        TypeError, JudgeError
            As in `fit`.

        Warns
        -----
        JudgmentWarning, BudgetWarning, GateWarning, DataWarning
            As in `fit`; and a DataWarning if users or items of X are unknown, which are left out.

        Notes
        -----
        The gate is calibrated on users who are solved for anew from the history that the judge was
        shown, by least squares with `alpha` and `regularization`. The given item factors have seen
        the hidden interactions, each among all others of the item: for rare items the model's own
        evidence looks a little better than it is, and the judge is trusted a little less.
        """
        check_is_fitted(self)
        self._validate_params()
        if self._fitted.given is None:
            raise ValueError(
                "refine is for models made by from_factors; fit has a judge's preferences act."
            )
        if self.judge is None:
            raise ValueError(
                "judge must be a judge to refine with; got None: set_params(judge=...)."
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
        """Return the data by which `refine` chooses slates."""
        model = self._fitted
        known = locate(interactions, model.users, model.items).interactions
        table = self._read_data("item", X)
        return TrainingData(known, table, None, None, np.empty(0, object), model.id_names)

    # -- the judge ---------------------------------------------------------------------------------

    def plan_judging(self, X: Table | None, y: Any = None, *, cv: Any = None) -> JudgingPlan:
        """Tell what the judge would be asked, and what that would cost. Asks nothing.

        Parameters
        ----------
        X, y
            As in `fit`; for a model of :meth:`from_factors` as in :meth:`refine`, which is planned
            then.
        cv : int, splitter, iterable of splits or None, default=None
            None: for one `fit`. Otherwise for a search with this cross-validation: for the fits on
            its training rows, and for the last one on all rows. Settings other than those of the
            slates and of the item features make no difference.

        Returns
        -------
        plan : JudgingPlan
            With the attributes `slates` (a list of Slate), `n_fits` and `estimate` (a
            CostEstimate: prompts, those that are cached, requests, tokens, expected and largest
            cost in USD). A recorded judge is asked nothing. ``plan.ask()`` asks what is planned,
            and returns a judge that carries the answers: give it to a search on a cluster.

        Raises
        ------
        TypeError, ValueError
            As in `fit`; and TypeError without judge.

        Warns
        -----
        BudgetWarning
            If the judge's budget will not do.

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
        """Preferences of the judge between items that users were not fitted on.

        Returns
        -------
        preferences : DataFrame of shape (n_pairs, 13)
            Ids of `user`, `preferred` and `other`, the gate's evidence, and `weight`, >= 0.
        """
        check_is_fitted(self)
        if self._supervision is None:
            raise AttributeError(
                "There are no preferences_: the model was fitted without a judge, or the judge had "
                "no opinion at all, or the model was loaded from a file, which has none."
            )
        return self._supervision.table(self.users_, self.items_)

    @property
    def judge_summary_(self) -> str:
        """What the judge adds, in one sentence.

        Returns
        -------
        sentence : str
            `gate_.summary`, of the preferences that the gate weighs (with more than 2,048 slates,
            of those in a part of them): on how many pairs with a known outcome the judge is right,
            popularity and the model, and all together; for how many preferences the judge is used,
            and for which most.
        """
        check_is_fitted(self)
        if self._supervision is None or not isinstance(self.gate_, ReliabilityGate):
            raise AttributeError(
                "There is no judge_summary_: the model was fitted without a judge, with gate=None "
                "or a gate of another kind, or without any slate to calibrate one; or it was "
                "loaded from a file, which has none."
            )
        return self._supervision.summary()

    def _note(self) -> str:
        return getattr(self, "judge_summary_", "")

    def _used_params(self) -> dict[str, Any]:
        if not hasattr(self, "_fitted"):
            return {}
        return used_settings(self, self._given_settings())

    def _logged_values(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Return what MLflow logs of a fit as parameters, and as metrics."""
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
        """Return the settings that are "auto" as they were found, or fixed.

        Returns
        -------
        params : dict of str to object
            For `set_params` of an estimator with the same `backbone`: a fit with them searches for
            nothing, and is the same.

        Raises
        ------
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.found_params()["alpha"]  # so few interactions: the fixed ones
        50.0
        """
        check_is_fitted(self)
        given = self._given_settings()
        return used_settings(self, {n: value for n, value in given.items() if is_auto(value)})

    @property
    def tuning_(self) -> pd.DataFrame:
        """Settings that were compared.

        Returns
        -------
        table : DataFrame of shape (n_trials, n_settings + 6)
            A row for each fit: the settings, whether they were `chosen`, NDCG@10 and AUC of
            held-out interactions, AUC of those of rare items (NaN where there are too few), the
            criterion, and the seconds of processor time it took. Settings are compared with few
            `factors` and `iterations`, whatever is given for them.
        """
        check_is_fitted(self)
        if self._found is None:
            raise AttributeError(
                "There is no tuning_: nothing was searched for, as tuning is None, all settings "
                "are given, too few interactions can be held out, warm_start kept those of the fit "
                "before, or the model was loaded."
            )
        return tuning_table(self._found)

    # -- using -------------------------------------------------------------------------------------

    def predict(
        self, X: Table, *, unknown_items: Literal["lowest", "nan"] = "lowest"
    ) -> np.ndarray:
        """Score user-item pairs.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Users and items, in the columns `user_col` and `item_col`; or a table of
            :meth:`recommend`.
        unknown_items : "lowest" or "nan", default="lowest"
            What the score of an item is that the model does not know: the lowest one of the user,
            with a warning, or NaN.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            Products of user and item factors, finite; they rank items for a user, and are no
            probabilities. An unknown user has the mean user's scores, an unknown item the lowest
            score of that user, or NaN.

        Raises
        ------
        TypeError
            For a sparse matrix: its rows do not say which users they are.
        ValueError
            As in `fit`; for another `unknown_items`.

        Warns
        -----
        DataWarning
            If users have ids of another type than all fitted ones, and if items are unknown
            (unless they get NaN, and have ids of the type of others).
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
        rows, columns = encode(model.users, users), encode(model.items, items)
        self._warn_of_foreign(users[rows < 0], len(rows))
        lowest = (
            "they have each user's lowest score, which looks like any other. To see which they "
            "are, pass unknown_items='nan'"
        )
        unknown = np.flatnonzero(columns < 0)
        warn_of_unknown(
            "items",
            items[unknown],
            len(rows),
            model.items,
            "they are NaN" if as_nan else lowest,
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
        """Warn of unknown users with ids of another type: new users have ids like the others."""
        warn_of_unknown(
            "users",
            unknown,
            n_ids,
            self.users_,
            "they are taken as the mean user",
            tolerated="same type",
        )

    def score(self, X: Table, y: Any = None) -> float:
        """Return the mean NDCG@10 over the users in X.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Held-out interactions.
        y : array-like of shape (n_samples,), default=None
            Strengths; rows with y > 0 are relevant. None: all.

        Returns
        -------
        ndcg : float
            In [0, 1]. A user's items in X are ranked among `items_` without those that the user
            was fitted on and are not in X; relevant items not in `items_` are misses. Unknown users
            get the mean user.

        Raises
        ------
        TypeError, ValueError
            As in `predict`; and for strengths as in `fit`.

        Warns
        -----
        DataWarning
            If more than half of the users are unknown, as when rows sorted by user are split
            without shuffling, or more than half of the items; if a model of :meth:`from_factors`
            does not know what users have seen.
        """
        check_is_fitted(self)
        X = self._collect(X, y)
        check_same_columns(self, X, user_col=self.user_col, item_col=self.item_col)
        held_out = _index_table(X, y, **self._id_columns, negatives=self.negatives)
        model = self._fitted
        rows, columns = encode(model.users, held_out.users), encode(model.items, held_out.items)
        warn_of_unknown_ids(held_out, rows, columns, model.users, model.items)
        warn_of_unknown_histories(model, rows, "it is ranked among the candidates")
        check_finite_model(model.user_factors, model.item_factors)
        return mean_ndcg(
            lambda part: model.score(rows[part]),
            held_out.matrix,
            columns,
            seen=model.seen[rows],
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
        """Recommend the best items to users.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids, repeated ones as often as they are given; an unknown one is recommended what
            the mean user is.
        n_items : int, default=10
            How many, >= 1.
        filter_seen : bool, default=True
            Leave out the items that a user was fitted on.
        items : array-like of shape (n_candidates,), set or None, default=None
            Ids of the items to rank, such as those in stock. None: all.
        exclude : array-like of shape (n_excluded,), set, table or None, default=None
            What must not be recommended: item ids, which nobody gets; or a table with a pair of
            user and item in each row (a DataFrame with the columns that `X` has, a table that this
            method returned before, or an array or list of pairs), for single users, unknown ones
            too. Unknown items exclude nothing, with a warning.
        per_user_items : dict, Series, table or None, default=None
            All that single users may get: user id -> item ids, or a table as of `exclude`. Users
            without any get nothing, with a warning. None: everybody may get everything.
        max_per_group : dict of str to int or None, default=None
            Column of `item_data` -> how many items with the same value a list has at most, >= 1. An
            item without value is in no group. See Notes.
        min_new : int, default=0
            How many items of a list, at least, had no interactions when the model was fitted: those
            that lose least of the sum of scores. They stand where their scores are, mostly last. If
            too few fit, with a warning, the lists have these.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            Return a table: of this library; True: a pandas DataFrame.

        Returns
        -------
        items : ndarray of shape (n_users, n_items)
            Item ids, best first; None where there are not enough candidates. An `n_items` far
            above the number of items makes lists that are 1,000 longer than this number.
        scores : ndarray of shape (n_users, n_items), float32
            Their scores, as of `predict`; NaN there.
        table : DataFrame or pyarrow.Table of shape (<= n_users * n_items, 4)
            Instead of both, with `as_frame`: a row for each recommended item, with the columns
            `user`, `rank` (from 1), `item` and `score`. User and item are called as in the
            DataFrame given to `fit`, if neither is called rank or score.

        Raises
        ------
        ValueError
            If `users` is not 1-D or has missing ids, or `n_items` not an integer >= 1; if `items`
            is not 1-D, is empty, or holds unknown ids alone; if `exclude` or `per_user_items` is
            none of the above; if `max_per_group` names a column that the item data given to `fit`
            does not have, or one of lists or vectors; if `min_new` is larger than `n_items`, or the
            model knows no interactions; for another `as_frame`, or ids that the library has no
            type for.
        TypeError
            If `max_per_group` is no dict.
        ImportError
            If the library of `as_frame` is not installed.

        Warns
        -----
        DataWarning
            If some of `items` or `per_user_items` are unknown, which are left out, or items of
            `exclude`, which exclude nothing; if users have ids of another type than all fitted
            ones; if users have no `per_user_items`, or too few new items; with `filter_seen`, if a
            model of :meth:`from_factors` does not know what users have seen.

        Notes
        -----
        A list has the highest sum of scores among those that keep to the rules, if there is one
        group, or if groups lie within others (brands of one category each). Where groups cross
        (categories and price ranges), items are taken in the order of their scores as long as
        they fit, and new ones before others if `min_new` is not met else, which may miss the best
        list, and in rare cases `min_new` or the full length.

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

        The lists are those of :meth:`recommend`, made as they are read: memory does not grow with
        the number of lists, but with `batch_size`. Needs pyarrow, ``sklearn_selreg[arrow]``.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            As in :meth:`recommend`.
        n_items : int, default=10
            How many, >= 1.
        batch_size : int, default=100_000
            Users in a batch, >= 1.
        **rules
            `filter_seen`, `items`, `exclude`, `per_user_items`, `max_per_group` and `min_new` of
            :meth:`recommend`.

        Returns
        -------
        reader : pyarrow.RecordBatchReader
            An iterator over record batches with the columns of the table of :meth:`recommend`: the
            user, `rank` (int32), the item and `score` (float32). It can be read once, also by what
            takes Arrow streams, such as polars and duckdb.

        Raises
        ------
        ImportError
            Without pyarrow.
        TypeError
            If ids are of several types, or of one that Arrow does not have; for other `rules`.
        ValueError
            As in :meth:`recommend`, all of them at the call; if `batch_size` is no integer >= 1.

        Warns
        -----
        DataWarning
            As in :meth:`recommend`; of too few new items after the last batch.

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
        """Read users and rules; return the ids to show of users, and what makes their lists."""
        check_is_fitted(self)
        model = self._fitted
        users = read_ids(users, "users", model.users)
        check_integer("n_items", n_items, 1)
        rules = read_rules(model, users, n_items, self._id_columns, **rules)
        rows = encode(model.users, users)
        self._warn_of_foreign(users[rows < 0], len(rows))
        if rules.filter_seen:
            warn_of_unknown_histories(model, rows, "it may be recommended to them")
        how = {"num_threads": self._num_threads, "verbose": self.verbose}
        # Ids as they were fitted, if all were: the same dtype, for joins.
        shown = model.users[rows] if (rows >= 0).all() else users
        return shown, ListMaker(model, rows, rules, n_items, **how)

    def similar_items(
        self,
        items: Any,
        n_items: int = 10,
        *,
        as_frame: bool | Literal["pandas", "polars", "pyarrow"] = False,
    ) -> tuple[np.ndarray, np.ndarray] | Table:
        """Find the most similar items of items.

        Parameters
        ----------
        items : array-like of shape (n_queries,)
            Item ids.
        n_items : int, default=10
            How many to find for each, >= 1.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            As in :meth:`recommend`.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_items)
            Ids of other items, the most similar first; None where there are no more.
        similarities : ndarray of shape (n_queries, n_items), float32
            Cosines of the item factors, in [-1, 1], without the item bias; NaN there.
        table : DataFrame or pyarrow.Table of shape (<= n_queries * n_items, 4)
            Instead of both, with `as_frame`: a row for each found item, with the columns `item`
            (called as in the DataFrame given to `fit`), `rank` (from 1), `similar`, `score`.

        Raises
        ------
        KeyError
            For an item that is unknown.
        ValueError
            If `items` is not 1-D, or `n_items` not an integer >= 1; for `as_frame` as in
            :meth:`recommend`.
        ImportError
            If the library of `as_frame` is not installed.
        """
        return self._similar("item", items, n_items, as_frame)

    def similar_users(
        self,
        users: Any,
        n_users: int = 10,
        *,
        as_frame: bool | Literal["pandas", "polars", "pyarrow"] = False,
    ) -> tuple[np.ndarray, np.ndarray] | Table:
        """Find the most similar users of users.

        Parameters
        ----------
        users : array-like of shape (n_queries,)
            User ids. Fold new users in first (:meth:`fold_in`).
        n_users : int, default=10
            How many to find for each, >= 1.
        as_frame : bool, "pandas", "polars" or "pyarrow", default=False
            As in :meth:`recommend`.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_users)
            Ids of other users, the most similar first; None where there are no more. Users of whom
            nothing is known, neither interactions nor features, are not found.
        similarities : ndarray of shape (n_queries, n_users), float32
            Cosines of the user factors, in [-1, 1]; NaN there.
        table : DataFrame or pyarrow.Table of shape (<= n_queries * n_users, 4)
            Instead of both, with `as_frame`: a row for each found user, with the columns `user`
            (called as in the DataFrame given to `fit`), `rank` (from 1), `similar`, `score`.

        Raises
        ------
        KeyError
            For a user who is unknown.
        ValueError
            If `users` is not 1-D, or `n_users` not an integer >= 1; for `as_frame` as in
            :meth:`recommend`.
        ImportError
            If the library of `as_frame` is not installed.

        See Also
        --------
        similar_items : The same of items.

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
        rows = find_known(known, ids, of)
        factors, candidates = model.plain_factors[side], None
        check_finite_model((model.user_factors, model.item_factors)[side])
        if of == "user" and model.is_nobody.any():
            candidates = np.flatnonzero(~model.is_nobody)
        columns, scores = similar_rows(
            factors,
            rows,
            n,
            candidates=candidates,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )
        if library is not None:
            name = model.id_names[side]
            names = name, "similar" if name != "similar" else f"similar_{of}"
            return tidy(known[rows], known, columns, scores, names, library)
        return pick_ids(known, columns), scores

    def item_vectors(self, *, equal_norms: bool = False) -> np.ndarray:
        """Return the vectors of all items, for an index of nearest neighbors.

        Their inner products with :meth:`user_vectors` are the scores of :meth:`predict`.

        Parameters
        ----------
        equal_norms : bool, default=False
            Append a column that makes all vectors equally long: then those with the largest inner
            product are also the nearest ones by distance and by cosine, for an index that has no
            inner product, or finds too little by it.

        Returns
        -------
        vectors : ndarray of shape (n_items, k), float32
            A copy of `item_factors_`, biases included; row i is that of ``items_[i]``. Items of
            :meth:`fold_in_items` come last, the rows before stay. The column that makes norms
            equal becomes another one for all if one of them is longer than the longest before.

        See Also
        --------
        item_rows : The row of an item.

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
        check_finite_model(vectors)
        return with_equal_norms(vectors) if equal_norms else vectors.copy()

    def item_rows(self, items: Any) -> np.ndarray:
        """Return the rows of items in `item_vectors`; ``items_[rows]`` is the way back.

        Parameters
        ----------
        items : array-like of shape (n,)
            Item ids.

        Returns
        -------
        rows : ndarray of shape (n,), intp

        Raises
        ------
        KeyError
            For an item that is unknown.
        ValueError
            If `items` is not 1-D.
        """
        check_is_fitted(self)
        return find_known(self.items_, read_ids(items, "items", self.items_), "item")

    def user_vectors(self, users: Any, *, equal_norms: bool = False) -> np.ndarray:
        """Return the vectors of users, to search an index of :meth:`item_vectors` with.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids; an unknown one has the vector of the mean user.
        equal_norms : bool, default=False
            As for the items.

        Returns
        -------
        vectors : ndarray of shape (n_users, k), float32

        Raises
        ------
        ValueError
            If `users` is not 1-D or has missing ids.

        Warns
        -----
        DataWarning
            If users have ids of another type than all fitted ones.
        """
        check_is_fitted(self)
        users = read_ids(users, "users", self.users_)
        rows = encode(self.users_, users)
        self._warn_of_foreign(users[rows < 0], len(rows))
        vectors = self._fitted.user_rows(rows)
        check_finite_model(vectors)
        return with_zeros(vectors) if equal_norms else vectors

    def explain(self, user: Any, item: Any, *, by_feature: bool = True) -> pd.DataFrame:
        """Tell where the score of a user and an item comes from, for ``backbone="als"``.

        The user's factors are the sum of what each item of the history and each preference of the
        judge contributes, the item's factors of what interactions, item features, and preferences
        contribute: terms of the normal equations they solve. The score is the sum of the products.

        Parameters
        ----------
        user : user id
            An unknown user is the mean user.
        item : item id
        by_feature : bool, default=True
            A user's history and an item's features make a part of the score together. True: it is
            listed by feature, and the history has the rest: what users of both items tell. False:
            all of it is listed by item of the history, and there are no features.

        Returns
        -------
        table : DataFrame
            Columns `kind`, `source` and `contribution`; within a kind the largest one first. The
            contributions sum to the score that `predict` gives. Kinds:

            - `history`: an item of the user. A user of whom nothing is known has one row
              `mean_user` instead.
            - `feature`: a feature of the item, liked or disliked by what the user's history says.
            - `user_feature`: a feature of the user, by what `user_data` leads to expect; there is
              nothing else of a user without interactions.
            - `preference`: an item that the judge preferred, or not, when asked about this user.
            - `item_preference`: the item itself, preferred, or not, when asked about any user.
            - `bias`: the item bias, in the user's period.
            - `remainder`: what the sweeps left unsolved, and what the last update of the users
              (`recency_power`) changed. It is large after too few iterations, and after many
              fitted users were folded in anew.

            `source` holds item ids, or names of features as `get_feature_names_out()` of
            `item_encoder_` and `user_encoder_` gives them: ``genres=Crime`` is the category or word
            *Crime* of the column *genres*. A history has a row for each item; for the main reasons
            take ``table.nlargest(5, "contribution")``, and for titles
            ``table["source"].map(titles)``; or :meth:`explain_lists`, a sentence for each pair.

        Raises
        ------
        KeyError
            If the item is unknown.
        ValueError
            If `user` or `item` is no single id; if the factors are of BPR, of LMF, or given to
            :meth:`from_factors`: these solve no linear equations.

        Notes
        -----
        What preferences and features did to the factors of *other* items and users is part of
        these, and not told apart. A folded-in user has no preferences. The equations are in
        ``sklearn_selreg._serving._explain``.

        References
        ----------
        Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets",
        section 5, for the history; there are no other contributions there.

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
        user, item = read_id(user, "user", model.users), read_id(item, "item", model.items)
        (row,), (column,) = encode(model.users, user), find_known(model.items, item, "item")
        if row < 0:
            self._warn_of_foreign(user, 1)
        check_finite_model(model.user_factors, model.item_factors)
        return explain(model, row, column, by_feature=by_feature)

    def _explainable(self):
        """Return the fitted model, if its scores can be explained."""
        check_is_fitted(self)
        model = self._fitted
        if not isinstance(model.backbone, ALSBackbone) or model.given is not None:
            made = "from_factors" if model.given is not None else f"backbone={self.backbone!r}"
            raise ValueError(
                "explain takes solutions of linear equations apart, which only factors fitted with "
                f"backbone='als' are; got those of {made}."
            )
        return model

    def explain_lists(
        self, X: Table, *, n_sources: int = 2, title_col: str | None = None
    ) -> pd.DataFrame:
        """Tell in a sentence each why items are recommended to users, for ``backbone="als"``.

        Parameters
        ----------
        X : DataFrame or array of shape (n_pairs, n_columns)
            Users and items, such as the table of :meth:`recommend`; in columns that are called as
            there, else in the columns `user_col` and `item_col`.
        n_sources : int, default=2
            How many items of the history, and how many features, a sentence names at most, >= 1.
        title_col : str or None, default=None
            Column of the item data given to `fit` by which items are named. None: the one called
            title or name, in capitals or not, if there is one. Items without a title have their id.

        Returns
        -------
        table : DataFrame of shape (n_pairs, 4)
            Users and items, called as in :meth:`recommend`, or `user` and `item` if one of them is
            called title or reason; `title`, what the item is called; and `reason`, such as
            ``"because they liked Heat and Casino; genres=Crime"``. Its index is that of X, if X is
            a pandas DataFrame.

        Raises
        ------
        KeyError
            If an item is unknown.
        TypeError, ValueError
            For X as in `predict`; for a model as in :meth:`explain`; for another `n_sources` or
            `title_col`.

        Warns
        -----
        DataWarning
            If users have ids of another type than all fitted ones.

        Notes
        -----
        A sentence names the largest contributions of :meth:`explain`, of each kind, that are
        at least 5 % of all that speak for the item: items of the history, features, that the judge
        prefers the item, and that it is popular. Features are named if they are values of a column:
        coordinates of vectors, and the punctuation and length of texts, tell readers nothing.

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
        rows, columns = encode(model.users, users), find_known(model.items, items, "item")
        self._warn_of_foreign(users[rows < 0], len(rows))
        check_finite_model(model.user_factors, model.item_factors)
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
        """Compute the factors of users from interactions and what they are, items fixed.

        The model itself changes; to keep it as it is, fold in to a ``copy.copy`` of it. New users
        are appended to `users_`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns), or None, default=None
            Interactions of these users. Those with unknown items are left out. None: there are
            only `user_data`.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.
        known : "append", "replace" or None, default=None
            What becomes of the interactions of users that the model knows. "append": X adds to
            them, as if its rows had come after those before: repeated pairs add up, the newest
            ones by `time_col` (else X) count as such, and what a judge said goes on to act on the
            user. "replace": X is all there is, also instead of what a judge said. None: the same,
            with a warning if something is lost.
        user_data : table, Series, dict or None, default=None
            As the parameter `user_data`, with the same columns, in any order: of users of X, and of
            others. New ones among the latter are ranked for by what they are; known ones keep their
            interactions, and lean on what they are now.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        TypeError, ValueError
            As in `predict`; ValueError without X and `user_data`, and for `user_data` with a model
            that has no user features or (loaded from a file) no `user_encoder_`; for strengths as
            in `fit`, and if factors are not finite; TypeError for times of another kind than in
            `fit`; ValueError if X is to be appended to what a model of :meth:`from_factors` does
            not know.

        Warns
        -----
        DataWarning
            If what was known of users is replaced and `known` does not say so; if items are
            unknown; if users have ids of another type than all known ones; if all times of a user
            lie far from those of `fit`; if there is nothing new in `user_data` without X; if values
            of `user_data` cannot be read as what their column held in `fit`: they are missing.

        Notes
        -----
        For BPR and LMF, and factors that were given, a user of whom more becomes known moves by as
        much as least squares with fixed items do; what the fit and a judge had made beyond them
        stays.

        Examples
        --------
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
        >>> model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes)
        >>> model.fold_in([["bob", "Up"], ["dan", "Heat"]], known="append").users_.tolist()
        ['ann', 'bob', 'cat', 'dan']
        >>> model.recommend(["bob"], 1)[0].tolist()
        [['Heat']]

        A user of whom only `user_data` tells:

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
        check_same_columns(self, X, **self._columns)
        # What takes off a strength may take it off what is known already.
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

    def fold_in_items(self, item_data: Any) -> Self:
        """Place new items by their features, users fixed.

        They get the factors that a `fit` gives to items nobody has: what the ridge regression on
        the features leads to expect, shrunk as there; and the popularity that it leads to expect.
        From then on they can be recommended, and be in the X of `fold_in` and `predict`. The model
        itself changes; to keep it as it is, use a ``copy.copy`` of it.

        Parameters
        ----------
        item_data : table, Series or dict
            As the parameter `item_data`, with the same columns, in any order. Items that the model
            knows stay as they are.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            For a model without item features or (loaded from a file) without `item_encoder_`; for
            item data as in `fit`.
        TypeError
            For item data as in `fit`.

        Warns
        -----
        DataWarning
            If no item is new, if items have ids of another type than all known ones, and if values
            cannot be read as what their column held in `fit`: they are missing.

        Notes
        -----
        The parameter `item_data` stays as it is: before another `fit` set it to one that has the
        new items. Shares of missing entries (`missing_power`) are relative to the mean popularity
        of all items, as in a fit that lists the new ones.

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
        new = encode(model.items, table.ids) < 0
        if not new.any():
            warn(f"All of {len(new)} items of item_data are known to the model: nothing changes.")
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
        """Save the fitted model to a file without pickle, which anyone can safely load.

        What predicts is saved: ids, factors, interactions, and what `recommend`, `similar_items`,
        `fold_in` and `explain` need; and of the parameters those that are plain data, or parts of
        this package with such parameters. Not saved are `judge`, `item_data` and `user_data`, and
        `gate`, `item_encoder` and `random_state` if they are other objects: a loaded model has the
        defaults of these parameters, and None as `judge_`, `gate_`, `item_encoder_` and
        `user_encoder_`. To keep them, pickle the model, or give the parameters anew before another
        `fit` or a search; the fits warn otherwise, those of clones too. Of `item_data` the columns
        of single values are saved, for `max_per_group` and :meth:`explain_lists`, unless their
        values are of kinds that ids cannot be.

        Parameters
        ----------
        path : str or path-like
            A file, named as you like (such as ``model.npz``); an old one is replaced when the new
            one is complete.

        Raises
        ------
        ValueError
            If ids cannot be stored (str, int, float, bool, bytes, date, datetime, UUID, Decimal,
            tuples of these and mixtures can), if `backbone` or `slates` is a subclass of those of
            this package, and if factors are not finite.

        See Also
        --------
        load : Load it.

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
        """Load a model that was saved by `save`. The file need not be trusted.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        model : SelectiveLLMRegularizedMF
            It predicts as the saved one; what it lacks is told in `save`.

        Raises
        ------
        ValueError
            If the file is no saved model, is damaged, or was tampered with.
        OSError
            If it cannot be read.

        Warns
        -----
        ModelVersionWarning
            If it was saved by another version of this package.
        """
        return load_model(cls, path, __version__)

    # Formats that know no pickle, as that of skops, ask for the state: it is what a file of `save`
    # holds, made of numpy's arrays and text alone. Pickle and copies keep everything.

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
    """Index a table of interactions; a sparse matrix is refused as by `predict`."""
    if sp.issparse(X):
        read_columns(X)  # raises, and says why
    return index_interactions(X, y, **columns)
