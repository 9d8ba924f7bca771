"""The estimator: it conducts, the other modules play."""

import logging
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ._data._arrays import as_objects
from ._data._csr import count_interactions
from ._data._histories import Histories, lose_strength
from ._data._ids import concatenate_ids, encode, pick_ids
from ._data._interactions import index_interactions
from ._data._item_features import encode_items, feature_names, transform_items
from ._data._item_table import read_item_data, warn_of_better_ids
from ._data._item_texts import hidden_columns
from ._data._periods import PopularityOverTime, latest_positions, mean_user, period_weights
from ._data._requested_ids import find_known, read_id, read_ids, warn_of_unknown
from ._data._strengths import KINDS, StrengthScale, kinds_to_compare
from ._data._tables import check_same_columns, describe_columns, read_columns
from ._data._time_units import check_times
from ._factorization._als import pack_pairs
from ._factorization._als_backbone import ALSBackbone
from ._factorization._factors import Factors, with_bias
from ._factorization._finite import check_finite_factors, check_finite_model, explain_not_finite
from ._factorization._make import BACKBONES, make_backbone
from ._factorization._preferences import LOG_RANKS, preference_terms
from ._factorization._sampled_backbones import PROXIMAL_SWEEPS, PROXIMAL_UNIT
from ._gate import ReliabilityGate
from ._judging._asking import ask, check_texts, counted, describe, make_slates
from ._judging._design import Design, Standing, pair_weights, recorded_design
from ._judging._plan import JudgingPlan
from ._judging._sampler import choose_questions
from ._judging._slates import compare_candidates, place_slates
from ._judging._standing import FOLDS, cross_fitted_standing, log_rank_worth, rank_items
from ._judging._weighing import checked_weights, try_gate
from ._serving._explain import Fitted, explain, feature_coefficients
from ._serving._persistence import check_version, load_model, save_model
from ._serving._recommend import (
    best_items,
    find_candidates,
    id_names,
    read_excluded,
    similar_rows,
    tidy,
)
from ._serving._refining import locate, read_factors, refine_rows, score_unit, shown_standing
from ._tuning._hold_out import MIN_HELD_OUT
from ._tuning._moves import EFFORTS
from ._tuning._search import find_settings
from ._utils._atomic import all_or_nothing
from ._utils._params import check_integer, check_nested, is_default, name_kind
from ._utils._progress import tqdm
from ._utils._sklearn import (
    DisplayMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    _safe_indexing,
)
from ._utils._warn import warn
from ._version import __version__
from .exceptions import GateWarning, JudgmentWarning, ParameterWarning
from .judges import LLMJudge, Slate
from .metrics._models import mean_ndcg, warn_of_unknown_ids

_log = logging.getLogger("sklearn_selreg")
# What to write for a parameter that is to have parameters of its own.
_INSTANCES = {
    "gate": "ReliabilityGate()",
    "judge": "AnthropicJudge(max_cost=1)",
    "item_encoder": "AutoItemEncoder()",
}
# What may be "auto", and its value where nothing is searched; None: the backbone's own.
_FIXED = {
    "factors": None,
    "regularization": None,
    "alpha": None,
    "iterations": None,
    "prior_strength": 2.5,
    "item_bias": 0.25,
    "missing_power": 0.5,
    "recency_power": 0.65,
    "strengths": "raw",
    "popularity_periods": 8,
}
_AUTO = StrOptions({"auto"})
_OF_BACKBONE = ("factors", "regularization", "alpha", "iterations")
# Those that are the same for all backbones that have them.
_SHARED = ("prior_strength", "item_bias", "missing_power", "recency_power")
# What is set without comparing models.
_NOT_COMPARED = frozenset(
    [
        "item_data",
        "judge",
        "user_col",
        "item_col",
        "time_col",
        "warm_start",
        "compute_loss",
        "n_jobs",
        "random_state",
        "verbose",
        "tuning",
    ]
)
_LARGEST_LLM_WEIGHT = 4.0  # interactions; more was hardly meant relative to alpha
_NO_JUDGMENTS = {"questions": 0, "answers": 0, "slates_used": 0, "pairs": 0}
_ENOUGH_TO_FIT = 1000  # interactions; with fewer, nobody wonders at factors of about 0
_SPAN = 100  # strengths as many times as large as the median are worth a warning
_CLEARLY = 0.05  # difference of the criterion of a search that is worth a warning
_CERTAIN = 10.0  # log-odds that no judge has who sees only what it is shown
_CLEARLY_WRONG = 0.4  # accuracy of a judge that may be read the wrong way around
_VANISHED = 0.02  # what the factors add to the score of a fitted pair
_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_PAIRS_PER_CHUNK = 2**18
_SLATES_PER_CHUNK = 2**11  # of 20 candidates: 390,000 pairs, some 60 MB of evidence


class SelectiveLLMRegularizedMF(DisplayMixin, BaseEstimator):
    r"""Matrix factorization, regularized by a judge's preferences where they can be trusted.

    Implicit-feedback matrix factorization by `implicit`'s compiled kernel, whose item factors lean
    on item features. An LLM's pairwise preferences, asked offline, regularize it further, but only
    where a trained gate expects the LLM to be right: with short histories, rare items, an unsure
    model. Nothing of the LLM is left at prediction time.

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
        of their epochs, which are not searched for. Fixed, and None: 30 for ALS, 100 for BPR, 50
        for LMF.
    tuning : "fast", "thorough" or None, default="fast"
        How settings that are "auto" are found: what each user did last is held out, and some 15
        small models are compared by how they rank it; see Notes. "thorough" goes through the
        settings up to three times, on more interactions. None: nothing is searched, all are fixed.
        With fewer than 200 users to hold something out of they are fixed, too.
    backbone : "als", "bpr" or "lmf", default="als"
        What is factorized with: alternating least squares, or `implicit`'s Bayesian personalized
        ranking or logistic matrix factorization. The factors of the latter two are kept by a
        proximal term while features and preferences act; see Notes.
    backbone_params : dict or None, default=None
        Further settings of the backbone: `cg_steps` (3) for ALS; `learning_rate` (.05) and
        `verify_negative_samples` (True) for BPR; `learning_rate` (1) and `neg_prop` (30) for LMF.
    item_data : DataFrame, Series, dict or None, default=None
        What is known about items. A DataFrame (pandas or polars) holds the ids in the column named
        as the item column of `X`, else in its index; a Series in its index; a dict maps ids to
        text, numbers, or dicts of columns. Items that nobody interacted with can be recommended if
        they are listed here.
    item_encoder : "auto", transformer or None, default="auto"
        Makes features of `item_data`: a scikit-learn transformer, fitted on its columns; "auto" for
        :class:`~sklearn_selreg.AutoItemEncoder`; None for no features.
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
    missing_power : "auto" or float, default="auto"
        A pair without interaction weighs `((n + 5) / mean(n + 5)) ** missing_power` for an item
        with n interactions: not having a popular item says more. 0: all weigh 1, as in `implicit`.
        Fixed: .5.
    recency_power : "auto" or float, default="auto"
        In a last update of the users, their r-th newest interaction (from 0) has the confidence
        `3 * alpha / (1 + r) ** recency_power`. 0: no such update. Without `time_col`, "auto" is 0:
        the order of the rows need not be that of time. Fixed: .65.
    strengths : "auto", "raw", "log" or "binary", default="auto"
        How the strengths `y` count, summed over repeated rows: as they are, as ``log(1 + y)``
        relative to its mean, or all as 1. Play counts and amounts span orders of magnitude; raw,
        the largest ones drown the others. "auto" is "raw" where all are 1. Fixed: "raw".
    judge : LLMJudge or None, default=None
        Gives the preferences: recorded ones as they are (`PrecomputedJudge`); any other judge is
        asked questions that are chosen for it. None: the backbone alone.
    item_text : column name, list of column names or None, default=None
        Columns of `item_data` that the judge reads, in this order. None: those of text, lists,
        flags, dates and whole numbers, but for identifiers; decimals such as prices only if named.
    max_slates : int or None, default=None
        How many slates to ask a judge at most, >= 1; each is asked as often as the judge has
        orders. None: one for each user with interactions and some to calibrate the gate, at most
        2,000.
    slate_size : int, default=20
        Candidates in a slate, >= 2.
    calibration_share : float, default=0.3
        Share of the slates that hide some of a user's interactions among the candidates, in
        [0, 1]: by them the gate learns where the judge is right. There are fewer if not as many
        users have 4 interactions, some of which the reference model would recommend.
    slate_random_state : int, default=0
        Seed >= 0 of the choice of slates. What is asked depends on the rows, the item features and
        these slate parameters alone, so a search over other parameters asks nothing new.
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
    refine_iterations : int or None, default=None
        How many of the sweeps, the last ones, are regularized by the judge's preferences; fewer
        than `iterations`. None: half of them. With and without judge there are as many sweeps,
        so that what a judge adds is not what more sweeps would have added. For BPR and LMF these
        sweeps come on top of the epochs (without judge there is nothing to sweep); None: 15.
    user_col, item_col : int or str, default=0 and 1
        Columns of `X` with the ids: positions, or names in a DataFrame.
    time_col : int, str or None, default=None
        Column of `X` that orders the interactions of a user. None: order of the rows.
    negatives : "error" or "net", default="error"
        What strengths below 0 are. "net": returns, which are taken off what the user has of the
        item; a pair that has nothing left is no interaction.
    warm_start : bool, default=False
        Go on from the factors of the last `fit`, which are found by id: new users are folded in,
        new items start as their features lead to expect (else at random), and those no longer in
        `X` are left out. LMF has adaptive steps that start anew: go on with a lower
        `learning_rate`. The gate is calibrated anew, from a new start.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_`.
    n_jobs : int or None, default=None
        Threads; None or a negative number: all cores. Work that a single one does in milliseconds
        is left to it. The result does not depend on this. Of BPR and
        LMF it would: they are fitted by a single thread if `random_state` is not None.
    random_state : int, RandomState, Generator or None, default=None
        Of the factors' start. An int gives the same result in each call, and the same start as
        `implicit` has with this int.
    verbose : int, default=0
        Above 0: progress bars over the choice of questions, over all sweeps, with those that
        calibrate the gate, and over users who are recommended or ranked for. A judge has its own.

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
        User ids, as they were given; sorted where they sort.
    items_ : ndarray of shape (n_items,)
        Item ids, those of `item_data` included.
    user_factors_ : ndarray of shape (n_users, n_columns), float32
        `factors` columns, and with `item_bias`, BPR or LMF further ones for the user's period (a
        single one of ones, if there is a single period). A user without any interaction has the
        mean of the others, in the last period.
    item_factors_ : ndarray of shape (n_items, n_columns), float32
        Likewise; the further columns hold the item biases, in each period.
    gate_ : ReliabilityGate or None
        The fitted gate; None without judge or gate, or without any slate to calibrate it on (then
        no preference is trusted).
    judge_ : LLMJudge or None
        The judge.
    judge_stats_ : dict of str to int
        Number of questions that the judge answered (be it with no opinion), of answers with an
        opinion (a question may be asked in several orders), of slates used, and of pairs.
    judgments_ : DataFrame
        The preferences with their evidence and weights; made at each access.
    judge_summary_ : str
        What the judge adds, in one sentence; made at each access.
    item_encoder_ : transformer or None
        The fitted encoder.
    loss_curve_ : list of float
        With `compute_loss`: the objective after each regularized sweep (without judge, after each
        sweep). It never rises.
    n_iter_ : int
        Number of sweeps, and of epochs of BPR and LMF.
    n_features_in_ : int
        Number of columns of `X` in `fit`; 2 for a sparse matrix. `predict` needs those with users
        and items alone.
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
    and of rare items) among those that rank no worse than
    popularity and plain `implicit`. They do not depend on `random_state`. `warm_start` keeps those
    of the last fit.

    `missing_power` and `recency_power` are settings of ALS, and do nothing for BPR and LMF; to set
    them there is a `ParameterWarning`.

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
        "tuning": [StrOptions(set(EFFORTS)), None],
        "backbone": [StrOptions(set(BACKBONES))],
        "backbone_params": [dict, None],
        "item_data": "no_validation",
        "item_encoder": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "prior_strength": [Interval(Real, 0, None, closed="neither"), _AUTO],
        "item_bias": [Interval(Real, 0, None, closed="left"), _AUTO],
        "popularity_periods": [Interval(Integral, 1, None, closed="left"), _AUTO],
        "popularity_at": [StrOptions({"user", "last"})],
        "missing_power": [Interval(Real, 0, None, closed="left"), _AUTO],
        "recency_power": [Interval(Real, 0, None, closed="left"), _AUTO],
        "strengths": [StrOptions({"auto", *KINDS})],
        "judge": "no_validation",  # by _read_judgments: the message should not print all records
        "gate": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "item_text": "no_validation",
        "max_slates": [Interval(Integral, 1, None, closed="left"), None],
        "slate_size": [Interval(Integral, 2, None, closed="left")],
        "calibration_share": [Interval(Real, 0, 1, closed="both")],
        "slate_random_state": [Interval(Integral, 0, None, closed="left")],
        "llm_weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "refine_iterations": [Interval(Integral, 1, None, closed="left"), None],
        "user_col": [Integral, str],
        "item_col": [Integral, str],
        "time_col": [Integral, str, None],
        "negatives": [StrOptions({"error", "net"})],
        "warm_start": ["boolean"],
        "compute_loss": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        factors="auto",
        regularization="auto",
        alpha="auto",
        iterations="auto",
        *,
        tuning="fast",
        backbone="als",
        backbone_params=None,
        item_data=None,
        item_encoder="auto",
        prior_strength="auto",
        item_bias="auto",
        popularity_periods="auto",
        popularity_at="user",
        missing_power="auto",
        recency_power="auto",
        strengths="auto",
        judge=None,
        gate="auto",
        llm_weight=0.16,
        margin=0.4,
        refine_iterations=None,
        item_text=None,
        max_slates=None,
        slate_size=20,
        calibration_share=0.3,
        slate_random_state=0,
        user_col=0,
        item_col=1,
        time_col=None,
        negatives="error",
        warm_start=False,
        compute_loss=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.tuning = tuning
        self.backbone = backbone
        self.backbone_params = backbone_params
        self.item_data = item_data
        self.item_encoder = item_encoder
        self.prior_strength = prior_strength
        self.item_bias = item_bias
        self.popularity_periods = popularity_periods
        self.popularity_at = popularity_at
        self.missing_power = missing_power
        self.recency_power = recency_power
        self.strengths = strengths
        self.judge = judge
        self.gate = gate
        self.llm_weight = llm_weight
        self.margin = margin
        self.refine_iterations = refine_iterations
        self.item_text = item_text
        self.max_slates = max_slates
        self.slate_size = slate_size
        self.calibration_share = calibration_share
        self.slate_random_state = slate_random_state
        self.user_col = user_col
        self.item_col = item_col
        self.time_col = time_col
        self.negatives = negatives
        self.warm_start = warm_start
        self.compute_loss = compute_loss
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # -- parameters and tags -------------------------------------------------------------------

    def set_params(self, **params):
        """Set parameters, also those of `gate`, `judge` and `item_encoder`, as `gate__C`.

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
            For a name that does not exist, and for a parameter of something that is "auto" or None:
            pass an instance of it first.
        """
        check_nested(self, params, _INSTANCES)
        if params and hasattr(self, "_set_since_cloned"):
            self._set_since_cloned = self._set_since_cloned | set(params)
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

    # -- fitting -------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(self, X, y=None):
        """Fit the factors, and with a judge also the gate.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns), or sparse matrix
            One interaction a row. A scipy sparse matrix holds the strengths of users x items; ids
            are then the numbers of rows and columns.
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
            strengths that are negative or not finite, or none above 0; duplicate ids in
            `item_data`; recorded judgments of which no slate fits the interactions; a judge that
            reads texts, but no `item_data` and ids that are numbers.
        JudgeError
            If the judge's service refuses to answer.

        Warns
        -----
        JudgmentWarning
            If slates of the judge are dropped, or if it has no opinion.
        BudgetWarning
            If the judge has reached its budget.
        GateWarning
            If the gate has too little to learn from, or finds that the judge adds nothing.
        DataWarning
            If ids or columns may not be what was meant, or if the model was loaded, and lacks
            parameters it was saved with.
        ParameterWarning
            If `missing_power` or `recency_power` is set for BPR or LMF; if `regularization` is so
            large that all users are recommended about the same; if no settings are found that rank
            as well as popularity and plain `implicit`; if a search finds settings anew in each of
            its fits; if `llm_weight` is far too large; if `negatives="net"` has no `y`.
        """
        settings = self._settings()
        backbone, n_refine, judged, n_silent = self._backbone(settings), 0, None, 0
        if self.judge is not None:
            self._check_judge()
            self.judge._check_ready()
            if self.iterations != "auto":
                backbone.split(self.refine_iterations)  # raises
            if self.judge.is_recorded:
                judged = self.judge.questions()
        old = self._old_factors(backbone) if self.warm_start else None
        table, interactions, features, self.item_encoder_ = self._read(X, y)
        found, free = None, self._free_settings(backbone, interactions, features, old)
        if free:
            settings, found = self._search(backbone, settings, free, interactions, features)
            backbone = self._backbone(settings)
        if self.judge is not None:
            least = (self.refine_iterations or 1) + 1
            if self.iterations == "auto" and backbone.iterations < least:
                backbone = replace(backbone, iterations=least)
            backbone, n_refine = backbone.split(self.refine_iterations)
        if self.judge is not None and not self.judge.is_recorded:
            slates = self._choose_slates(table, interactions, features)
            judged, n_silent = ask(self.judge, slates, interactions)
        self._warn_of_what_a_file_lacked()
        self._warn_of_idle_parameters(backbone)
        self._remember_columns(X)
        scale = StrengthScale.of(settings["strengths"], interactions.matrix.data)
        n_sweeps = backbone.iterations + n_refine * isinstance(backbone, ALSBackbone)
        self._remember_settings(backbone, scale, settings["popularity_periods"], n_sweeps)
        self._found, self._given = found, None
        self._id_names = id_names(X, self.user_col, self.item_col)
        self._matrix, self._age = interactions.matrix, interactions.recency_rank
        self._remember_times(interactions)
        self._popularity = count_interactions(self._matrix)
        interactions = replace(interactions, matrix=self._scale.apply(self._matrix))
        matrix = interactions.matrix
        n_periods = settings["popularity_periods"] if backbone.item_bias > 0 else 1
        trend = PopularityOverTime.of(interactions, n_periods, at=self.popularity_at)
        self._periods, shares = trend.centers, trend.user_weights()
        self._slates = None
        self._features = features
        self._feature_names = feature_names(self.item_encoder_, features)
        _log.info(
            "Fitting %d interactions of %d users with %d items of %d features.",
            self._matrix.nnz,
            *self._matrix.shape,
            len(self._feature_names),
        )

        generator = _generator(self.random_state)
        # What old factors know of hidden interactions must not calibrate the gate: it starts anew.
        new = backbone.start(*self._matrix.shape, generator)
        starts = [new]
        if old is not None:
            aligned = _align(old, interactions)
            starts = [backbone.resume(matrix, features, *aligned, generator)]
        if self.judge is None:
            new = None
        self.users_, self.items_ = interactions.users, interactions.items
        self.judge_, self.gate_, self.judge_stats_ = self.judge, None, {}
        if self.judge is not None:
            self.judge_stats_ = {**_NO_JUDGMENTS, "questions": n_silent}
        self.loss_curve_ = []
        self.n_iter_ = backbone.iterations + n_refine
        pairs = last_pairs = {}
        gated = judged is not None and self.gate is not None
        n_watched = (1 + FOLDS if gated else 1) * backbone.watched + (1 + gated) * n_refine
        with tqdm(total=n_watched, disable=not self.verbose, desc="sweeps") as progress:
            watch = self._watch(progress, final=self.judge is None)
            # Popped: so they are freed when they have been copied.
            by_period = trend.counts_by_period()
            factors = backbone.fit(matrix, features, starts.pop(), watch, by_period=by_period)
            if judged is not None:
                slates = self._place(judged, interactions)
                users, items = with_bias(*factors[:3], shares)
                seen = matrix[slates.users]
                ranks = rank_items(slates.items, users[slates.users], items, seen)
                standing = Standing(ranks, self._popularity[slates.items])
                if self.gate is not None:
                    self._calibrate(
                        slates,
                        standing,
                        matrix,
                        lambda items, some: cross_fitted_standing(
                            items, some, backbone, trend, features, new, watch
                        ),
                    )
                weights = self._weigh(slates, standing)
                if weights.any():
                    plain = final = factors
                    if self.gate is not None:
                        plain = backbone.refine(matrix, features, factors, n_refine, {}, watch)
                        final = backbone.finish(matrix, self._age, plain, {})
                    pairs, last_pairs = self._regularizers(slates, weights, plain, final, shares)
            if n_refine:
                watch = self._watch(progress, final=True)
                factors = backbone.refine(matrix, features, factors, n_refine, pairs, watch)
            progress.total = progress.n  # few users make fewer fits
        _log.info("Fitted by %d sweeps or epochs.", self.n_iter_)
        self._gram = None
        if features is not None:  # of the users that the items were solved against
            self._gram = factors.users.T.astype(np.float64) @ factors.users
        factors = backbone.finish(matrix, self._age, factors, last_pairs)
        biases = () if factors.bias is None else (factors.bias,)
        check_finite_factors(backbone, matrix.data, *factors[:2], *biases, judged=self._judging())
        if self.backbone == "als":
            self._warn_of_vanished_factors(factors)
        compared = found is not None and ("strengths" in free or found.compressed is not None)
        if scale.kind == "raw" and not compared:
            self._warn_of_raw_strengths(self._matrix.data)
        self._pairs = last_pairs or None
        self._as_of_fit = np.ones(len(self.users_), dtype=bool)
        self.user_factors_, self.item_factors_ = with_bias(*factors[:3], shares)
        # Nobody knows anything about a user without interactions.
        empty = np.diff(self._matrix.indptr) == 0
        self.user_factors_[empty] = mean_user(self.user_factors_[~empty], len(self._periods))
        self._own_bias, self._gain = factors.own_bias, factors.gain
        return self

    def _settings(self):
        """Return the settings, those that are "auto" as they were fitted, or fixed."""
        goes_on = self.warm_start and hasattr(self, "factors_")
        settings = {}
        for name, fixed in _FIXED.items():
            settings[name] = value = getattr(self, name)
            if isinstance(value, str) and value == "auto":
                settings[name] = getattr(self, f"{name}_") if goes_on else fixed
                if name == "recency_power" and self.time_col is None:
                    settings[name] = 0.0  # order is not time
        return settings

    def _free_settings(self, backbone, interactions, features, old):
        """Return the names of the settings to find, or nothing if none is to be searched for."""
        if self.tuning is None or old is not None:
            return set()
        free = {name for name in backbone.found if getattr(self, name) == "auto"}
        if len(kinds_to_compare(interactions.matrix.data)) == 1:
            free -= {"strengths"}
        if interactions.times is None:
            free -= {"recency_power", "popularity_periods"}
        if self.item_bias == 0:
            free -= {"popularity_periods"}
        if features is None:
            free -= {"prior_strength"}
        return free if free - {"iterations", "popularity_periods"} else set()

    def _search(self, backbone, settings, free, interactions, features):
        """Find settings, and say so; return all settings, and what was found."""
        if self.strengths == "auto" and "strengths" not in free:
            settings = settings | {"strengths": kinds_to_compare(interactions.matrix.data)[0]}
        given = {n: settings[n] for n in ("strengths", "popularity_periods") if n not in free}
        with tqdm(disable=not self.verbose, desc="settings", unit="fit") as progress:
            found = find_settings(
                backbone, given, free, interactions, features, self.tuning, progress.update
            )
        if found is None:
            _log.info(
                "Fewer than %d interactions can be held out: the settings are the fixed ones.",
                MIN_HELD_OUT,
            )
            return settings, None
        shown = [f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v!r}" for n, v in
                 sorted(found.settings.items())]  # fmt: skip
        _log.info(
            "Found %s: %d fits ranked %d held-out interactions, in %.1f s of processor time.",
            ", ".join(shown),
            len(found.trials),
            found.n_held_out,
            found.seconds,
        )
        self._warn_of_search(found)
        return settings | found.settings, found

    def _warn_of_raw_strengths(self, strengths):
        """Warn of strengths that count raw without comparison, and span orders of magnitude."""
        typical = np.median(strengths)
        if strengths.max() > _SPAN * typical:
            warn(
                f"The strengths span orders of magnitude, from {strengths.min():g} to "
                f"{strengths.max():g} with a median of {typical:g}, and count as they are: the "
                "largest ones drown the others. Compress them by strengths='log' (or 'binary')."
            )

    def _warn_of_search(self, found):
        """Warn of what a search shows to be wrong."""
        best = found.best.result
        if found.floor is not None:
            others = "; ".join(
                f"{what} {result.ndcg:.4f} and {result.auc:.4f}"
                for what, result in zip(("popularity", "plain implicit"), found.floor, strict=False)
            )
            warn(
                "No settings were found that rank held-out interactions as well as simpler models "
                f"do: NDCG@10 {best.ndcg:.4f} and AUC {best.auc:.4f}, {others}. Try "
                "tuning='thorough', or give item_data; "
                "sklearn_selreg.metrics.compare_baselines compares with simple models.",
                ParameterWarning,
            )
        other = found.compressed
        if other is not None and other.result.criterion > best.criterion + _CLEARLY:
            kind = other.settings["strengths"]
            warn(
                "The strengths span so much that the largest ones drown the others: raw, they rank "
                f"held-out interactions with NDCG@10 {best.ndcg:.4f}, and with strengths={kind!r} "
                f"it is {other.result.ndcg:.4f}. Set strengths={kind!r} (or 'auto')."
            )
        compared = sorted(getattr(self, "_set_since_cloned", frozenset()) - _NOT_COMPARED)
        if compared:
            warn(
                f"{', '.join(compared)} of a clone had been set, as by a search, and the settings "
                "that are 'auto' were found anew: models that are compared differ in them, too. "
                "Fix them first: model.fit(X), then model.set_params(**model.found_params()).",
                ParameterWarning,
            )

    def _remember_settings(self, backbone, scale, n_periods, iterations):
        """Keep the settings of a fit: for what needs them later, and as fitted attributes."""
        self._fitted_backbone, self._scale = backbone, scale
        others = {
            "strengths": scale.kind, "popularity_periods": n_periods, "iterations": iterations
        }  # fmt: skip
        for name in _FIXED:
            setattr(self, f"{name}_", others.get(name, getattr(backbone, name, None)))

    def found_params(self):
        """Return the settings that are "auto" as they were found, or fixed.

        Returns
        -------
        params : dict of str to object
            For `set_params`: a fit with them searches for nothing, and is the same.

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
        return {
            name: getattr(self, f"{name}_")
            for name in _FIXED
            if getattr(self, name) == "auto" and getattr(self, f"{name}_") is not None
        }

    @property
    def tuning_(self):
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
        names = [name for name in _FIXED if name in self._found.best.settings]
        rows = [
            {name: trial.settings[name] for name in names}
            | {
                "chosen": trial is self._found.best,
                "NDCG@10": trial.result.ndcg,
                "AUC": trial.result.auc,
                "AUC rare": trial.result.rare,
                "criterion": trial.result.criterion,
                "seconds": trial.seconds,
            }
            for trial in self._found.trials
        ]
        return pd.DataFrame(rows).astype({"AUC rare": float})

    def _warn_of_what_a_file_lacked(self):
        """Warn if a loaded model is to be fitted without what the saved one had."""
        defaults = type(self)().get_params(deep=False)
        left_behind = getattr(self, "_left_behind", ())
        lost = [p for p in left_behind if is_default(getattr(self, p), defaults[p])]
        self._left_behind = ()
        if lost:
            warn(
                f"The model was loaded from a file, which does not hold {', '.join(lost)}; it is "
                "fitted without, and will be another one. Give them anew before fit: set_params("
                f"{', '.join(f'{p}=...' for p in lost)})."
            )

    def _warn_of_vanished_factors(self, factors):
        """Warn if the factors hardly add to the scores of fitted pairs, which should be 1."""
        if self._matrix.nnz < _ENOUGH_TO_FIT:
            return
        entries = np.linspace(0, self._matrix.nnz - 1, _ENOUGH_TO_FIT).astype(int)
        users = np.searchsorted(self._matrix.indptr, entries, side="right") - 1
        items = self._matrix.indices[entries]
        scores = np.einsum("ij,ij->i", factors.users[users], factors.items[items])
        backbone = self._fitted_backbone
        if scores.mean() < _VANISHED:
            warn(
                "Little is left of the factors, and all users are recommended about the same: "
                "regularization is too large for these interactions and alpha: "
                f"regularization={backbone.regularization:g}, alpha={backbone.alpha:g}. Lower it, "
                "or raise alpha.",
                ParameterWarning,
            )

    def _warn_of_idle_parameters(self, backbone):
        """Warn if parameters are set that the backbone does not have."""
        defaults = type(self)().get_params(deep=False)
        idle = [
            f"{name}={value!r}"
            for name in _SHARED
            if not hasattr(backbone, name)
            and (value := getattr(self, name))  # 0 turns them off, as they are
            and not is_default(value, defaults[name])
        ]
        if idle:
            warn(
                f"backbone={self.backbone!r} does not use {' and '.join(idle)}, which "
                f"{'is' if len(idle) == 1 else 'are'} for backbone='als' alone. Leave out what has "
                "no effect, or choose that backbone.",
                ParameterWarning,
            )

    def _backbone(self, settings=None):
        settings = self._settings() if settings is None else settings
        return make_backbone(
            self.backbone,
            {name: settings[name] for name in _OF_BACKBONE},
            self.backbone_params,
            {name: settings[name] for name in _SHARED},
            num_threads=self._num_threads,
            seeded=self.random_state is not None,
        )

    @property
    def _num_threads(self):
        return 0 if self.n_jobs is None or self.n_jobs < 0 else self.n_jobs

    def _old_factors(self, backbone):
        """Return the ids and factors to go on from; None before the first fit."""
        if not hasattr(self, "user_factors_"):
            return None
        fitted = self._fitted_backbone
        if type(fitted) is not type(backbone) or fitted.factors != backbone.factors:
            raise ValueError(
                "warm_start goes on from factors of the same kind: the model was fitted with "
                f"{fitted.factors} factors by {type(fitted).__name__}, and is to be fitted with "
                f"{backbone.factors} by {type(backbone).__name__}. Set warm_start=False, or clone "
                "it."
            )
        k = fitted.factors
        factors = Factors(
            self.user_factors_[:, :k],
            self.item_factors_[:, :k],
            None,
            gain=self._gain,
            own_bias=self._own_bias,
        )
        return self.users_, self.items_, factors

    # -- refining what was made elsewhere ------------------------------------------------------

    @classmethod
    def from_factors(
        cls, user_ids, item_ids, user_factors, item_factors, *, copy=True, **parameters
    ):
        """Make a fitted model of factors that were made elsewhere.

        It recommends and predicts at once; :meth:`refine` then lets a judge's preferences act.

        Parameters
        ----------
        user_ids, item_ids : array-like of shape (n_users,) and (n_items,)
            Unique ids.
        user_factors, item_factors : array-like of shape (n_users, k) and (n_items, k)
            Their products are the scores. Columns of biases are columns like others.
        copy : bool, default=True
            False: float32 arrays are not copied, and :meth:`refine` writes into them. A file that
            is mapped by ``np.load(path, mmap_mode="c")`` stays as it is.
        **parameters
            Of the estimator. `regularization` and `alpha` should be what the factors were made
            with: users are folded in by them, as by ALS, with `missing_power`, `recency_power` and
            `item_bias` 0. Of `item_data` a judge reads the texts; the factors do not lean on
            features.

        Returns
        -------
        model : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            For factors or ids of other shapes, repeated ids, factors that are not finite or (with
            ``copy=False``) read-only, a number of `factors` that is another one, or a `backbone`
            other than "als".

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> model = SelectiveLLMRegularizedMF.from_factors(
        ...     ["ann", "bob"], [10, 20, 30], np.eye(2), [[1, 0], [0, 1], [0.5, 0.5]])
        >>> items, scores = model.recommend(["bob"], n_items=2)
        >>> items.tolist()
        [[20, 30]]
        """
        model = cls(**parameters)
        model._validate_params()
        users, user_factors = read_factors(user_ids, user_factors, "user", copy=copy)
        items, item_factors = read_factors(item_ids, item_factors, "item", copy=copy)
        k = user_factors.shape[1]
        if item_factors.shape[1] != k or model.factors not in ("auto", None, k):
            raise ValueError(
                "user_factors and item_factors must have as many columns, and `factors` must be "
                f"'auto', None or that number; got {k} and {item_factors.shape[1]} columns, and "
                f"factors={model.factors}."
            )
        if model.backbone != "als":
            raise ValueError(
                "backbone must be 'als' with given factors, to which users are folded in as by it; "
                f"got {model.backbone!r}."
            )
        model.users_, model.user_factors_ = users, user_factors
        model.items_, model.item_factors_ = items, item_factors
        backbone = replace(
            model._backbone(), factors=k, missing_power=0.0, recency_power=0.0, item_bias=0.0
        )
        model._matrix = sp.csr_matrix((len(users), len(items)), dtype=np.float32)
        scale = StrengthScale(model._settings()["strengths"])
        model._remember_settings(backbone, scale, 1, backbone.iterations)
        model._found = None
        model._age, model._periods = np.empty(0, dtype=np.int32), np.zeros(1)
        model._times = model._time_kind = model._time_span = None
        model._popularity = np.zeros(len(items), dtype=np.int64)
        model._slates = model._own_bias = model.gate_ = model.item_encoder_ = None
        model._features = model._pairs = model._gram = None
        model._feature_names = np.empty(0, dtype=object)
        model._as_of_fit = np.zeros(len(users), dtype=bool)
        model.n_features_in_ = 2
        model._id_names = id_names(None, model.user_col, model.item_col)
        model._gain, model._given, model._left_behind = 1.0, (), ()
        model.judge_, model.judge_stats_ = model.judge, {}
        model.loss_curve_, model.n_iter_ = [], 0
        return model

    @all_or_nothing
    def refine(self, X, y=None):
        """Let the judge's preferences act on given factors.

        Only the rows of judged users and items move, kept near what they were by a proximal term:
        time and memory grow with the judged slates and with X, not with the catalog. Refining again
        starts from the factors that were given.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Interactions that the factors were made of, at least all those of the judged users: by
            them slates are placed, known positives told, seen items filtered and popularity
            counted. So the more of them the better.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        ValueError
            As in `fit`; without judge; for a model that is not from :meth:`from_factors`.
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
        refined = [(name, rows, getattr(self, name)[rows]) for name, rows, _ in self._given or ()]
        try:
            return self._refine(X, y)
        except BaseException:
            for name, rows, values in refined:
                getattr(self, name)[rows] = values
            raise

    def _refine(self, X, y):
        self._validate_params()
        if self._given is None:
            raise ValueError(
                "refine is for models made by from_factors; fit has a judge's preferences act."
            )
        if self.judge is None:
            raise ValueError(
                "judge must be an LLMJudge to refine with; got None: set_params(judge=...)."
            )
        self._check_judge()
        self.judge._check_ready()
        added = _index_table(X, y, **self._reading())
        self._warn_of_what_a_file_lacked()
        n_silent = 0
        if self.judge.is_recorded:
            judged = self.judge.questions()
        else:
            table = None
            if self.item_data is not None:
                table = read_item_data(self.item_data, self._item_name(getattr(X, "columns", ())))
            none = np.empty(0, dtype=added.items.dtype)
            known = locate(added, self.users_, self.items_, none).interactions
            slates = self._choose_slates(table, known, None)
            judged, n_silent = ask(self.judge, slates, known)
        for name, rows, values in self._given:
            getattr(self, name)[rows] = values
        self._given, self._slates, self.gate_, self.judge_ = (), None, None, self.judge
        self.judge_stats_ = {**_NO_JUDGMENTS, "questions": n_silent}
        asked = added.items[:0] if judged is None else judged.candidates
        located = locate(added, self.users_, self.items_, asked)
        for what, unknown, ids, known in (
            ("users", located.unknown_users, added.users, self.users_),
            ("items", located.unknown_items, added.items, self.items_),
        ):
            left_out = "their interactions are left out"
            warn_of_unknown(what, unknown, len(ids), known, left_out)
        shape = len(self.users_), len(self.items_)
        self._matrix = located.spread(located.interactions.matrix.data, shape)
        self._age = located.interactions.recency_rank
        self._popularity = np.zeros(shape[1], dtype=np.int64)
        self._popularity[located.columns] = count_interactions(located.interactions.matrix)
        self.loss_curve_, self.n_iter_ = [], 0
        if judged is None:
            return self
        backbone = self._fitted_backbone
        slates, matrix = self._place(judged, located.interactions), located.interactions.matrix
        users = self.user_factors_[located.rows[slates.users]]
        items = self.item_factors_[located.columns]
        ranks = rank_items(slates.items, users, items, matrix[slates.users])
        standing = Standing(ranks, count_interactions(matrix)[slates.items])
        if self.gate is not None:
            self._calibrate(
                slates,
                standing,
                matrix,
                lambda items, some: shown_standing(
                    items, some, backbone, located, self.item_factors_
                ),
            )
        slates = located.place(slates)
        weights = self._weigh(slates, standing)
        if not weights.any() or self.llm_weight == 0:
            return self
        unit = score_unit(self.user_factors_, self.item_factors_, located)
        factors = Factors(self.user_factors_, self.item_factors_, None, unit)
        pairs, _ = self._regularizers(slates, weights, factors, factors, known=located.columns)
        self.n_iter_ = PROXIMAL_SWEEPS if self.refine_iterations is None else self.refine_iterations
        with tqdm(total=self.n_iter_, disable=not self.verbose, desc="sweeps") as progress:
            moved = refine_rows(
                *factors[:2],
                located,
                pairs,
                self.n_iter_,
                backbone.num_threads,
                self._watch(progress, final=True),
            )
        for name, (rows, values) in zip(("user_factors_", "item_factors_"), moved, strict=True):
            array = getattr(self, name)
            self._given += ((name, rows, array[rows]),)
            array[rows] = values
        return self

    def _remember_columns(self, X):
        self.n_features_in_, names = describe_columns(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _remember_times(self, interactions):
        """Keep what orders interactions that come later, and tells their unit."""
        self._times, self._time_kind = interactions.times, interactions.time_kind
        self._time_span = None
        if self._times is not None:
            self._time_span = float(self._times.min()), float(self._times.max())

    def _columns(self):
        return {"user_col": self.user_col, "item_col": self.item_col, "time_col": self.time_col}

    def _reading(self):
        """Return how interactions are read."""
        return self._columns() | {"negatives": self.negatives}

    def _id_columns(self):
        """Return how to read tables after `fit`, which has warned of columns like these."""
        columns = {"user_col": self.user_col, "item_col": self.item_col}
        return columns | {"usual_width": self.n_features_in_}

    def _item_name(self, names):
        """Return the column with the item ids, as item data may have it; `names`: those of X."""
        if isinstance(self.item_col, str):
            return self.item_col
        return names[self.item_col] if len(names) > self.item_col else None

    def _judging(self):
        """Return with which settings a judge's preferences act; none without a judge."""
        return {} if self.judge is None else {"llm_weight": self.llm_weight, "margin": self.margin}

    def _watch(self, progress, *, final):
        """Return what looks at a problem after each sweep."""

        def watch(problem):
            progress.update()
            if not problem.is_finite:
                strengths = self._scale.apply(self._matrix).data
                raise ValueError(
                    explain_not_finite(self._fitted_backbone, strengths, self._judging())
                )
            if final and self.compute_loss:
                self.loss_curve_.append(problem.loss())
                progress.set_postfix(loss=f"{self.loss_curve_[-1]:.6g}")

        return watch

    def _read(self, X, y):
        """Read item data and interactions, and make features."""
        table = extra_items = features = encoder = None
        if self.item_data is not None:
            item_name = self._item_name(getattr(X, "columns", ()))
            table = read_item_data(self.item_data, item_name)
            extra_items = table.ids
        interactions = index_interactions(X, y, **self._reading(), extra_items=extra_items)
        if self.negatives == "net" and y is None and not sp.issparse(X):
            warn(
                "negatives='net' takes returns off what was bought, by the strengths y, of which "
                "there are none: each row counts as a purchase. Pass the quantities as y, or 1 for "
                "each row if no row is a return.",
                ParameterWarning,
            )
        if isinstance(self.item_data, pd.DataFrame) and item_name not in self.item_data:
            used = interactions.items[count_interactions(interactions.matrix) > 0]
            warn_of_better_ids(table, used, item_name)
        if table is not None and self.item_encoder is not None:
            features, encoder = encode_items(self.item_encoder, table, interactions.items)
        return table, interactions, features, encoder

    def _check_judge(self):
        if not isinstance(self.judge, LLMJudge):
            raise TypeError(
                "judge must be an LLMJudge, such as PrecomputedJudge(judgments) of recorded "
                "answers, AnthropicJudge(max_cost=1) or LLMJudge.from_callable(f, name=, "
                f"version=); got {name_kind(self.judge)}."
            )
        self.judge._check_parameters()
        if isinstance(self.gate, type):
            raise TypeError(
                f"gate must be 'auto', None or an instance; got {name_kind(self.gate)}."
            )
        if self.llm_weight > _LARGEST_LLM_WEIGHT:
            warn(
                f"llm_weight={self.llm_weight!r} makes a preference weigh as much as so many "
                "interactions: it is relative to alpha. Values around 0.16 are usual.",
                ParameterWarning,
            )
        if isinstance(self.gate, ReliabilityGate):
            self.gate._validate_params()
        if self.gate is not None and not isinstance(self.gate, str) and not self.judge.is_recorded:
            try_gate(self.gate)  # before anything is asked and paid

    def _choose_slates(self, table, interactions, features):
        """Choose the slates to ask the judge."""
        texts = describe(interactions.items, table, self.item_text)
        shown = table is None or self.item_text is not None
        hidden = () if shown else hidden_columns(table)
        check_texts(texts, interactions, self.judge, *hidden)
        questions = choose_questions(
            interactions,
            features,
            n_questions=self.max_slates,
            slate_size=self.slate_size,
            calibration_share=self.calibration_share,
            random_state=self.slate_random_state,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )
        _log.info("Chose %d questions for a judge.", len(questions))
        return make_slates(questions, interactions, texts, Slate)

    def plan_judging(self, X, y=None, *, cv=None):
        """Tell what the judge would be asked, and what that would cost. Asks nothing.

        Parameters
        ----------
        X, y
            As in `fit`.
        cv : int, splitter, iterable of splits or None, default=None
            None: for one `fit`. Otherwise for a search with this cross-validation: for the fits on
            its training rows, and for the last one on all rows. Settings other than those of the
            slates and of the item features make no difference.

        Returns
        -------
        plan : JudgingPlan
            With the attributes `slates` (a list of Slate), `n_fits` and `estimate` (a
            CostEstimate: questions, those that are cached, requests, tokens, expected and largest
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
        >>> from sklearn_selreg import SelectiveLLMRegularizedMF
        >>> from sklearn_selreg.judges import AnthropicJudge
        >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
        >>> judge = AnthropicJudge(max_cost=1.0, cache=None)
        >>> plan = SelectiveLLMRegularizedMF(judge=judge, slate_size=2).plan_judging(likes)
        >>> len(plan.slates), plan.estimate.cost < 0.001
        (2, True)
        """
        self._validate_params()
        self._check_judge()
        if self.judge.is_recorded:
            return JudgingPlan([], 1, self.judge.estimate_cost([]), self.judge)
        parts = [None]
        if cv is not None:
            parts += [train for train, _ in check_cv(cv).split(X, y)]
        slates = {}
        for rows in parts:
            some = X if rows is None else _safe_indexing(X, rows)
            strengths = y if rows is None or y is None else _safe_indexing(y, rows)
            table, interactions, features, _ = self._read(some, strengths)
            chosen = self._choose_slates(table, interactions, features)
            slates |= dict.fromkeys(chosen)
        slates = list(slates)
        plan = JudgingPlan(slates, len(parts), self.judge.estimate_cost(slates), self.judge)
        plan.warn_if_too_much()
        return plan

    def _place(self, judged, interactions):
        """Apply the leakage rule to the judge's slates."""
        slates, dropped = place_slates(judged, interactions)
        reasons = ", ".join(counted(count, what) for what, count in dropped.items() if count)
        n_questions = len(judged.user)
        if not (slates.items >= 0).any():
            users, items = interactions.users[:1].tolist(), interactions.items[:1].tolist()
            known = f"{users[0]!r} and {items[0]!r}" if users and items else "none that are known"
            raise ValueError(
                f"No slate of the judge fits the interactions: {reasons}. Users and items must "
                "have the same ids in both, and a slate's history must lie within the rows given "
                f"to fit. The judge has users such as {judged.user[:1].tolist()[0]!r} and items "
                f"such as {judged.candidates[:1].tolist()[0]!r}, the interactions {known}."
            )
        if reasons:
            warn(
                f"Of the judge's {counted(n_questions, 'slate')} and what they hold these were "
                f"dropped: {reasons}. In "
                "cross-validation that is expected, as some rows are held out; else compare the "
                "judge's ids and histories with the rows given to fit.",
                JudgmentWarning,
            )
        self.judge_stats_["questions"] += n_questions
        self.judge_stats_["answers"] = int(judged.n_answers.sum())
        self.judge_stats_["slates_used"] = len(slates)
        _log.info("Using %d of %d slates of the judge.", len(slates), n_questions)
        return slates

    def _calibrate(self, slates, standing, matrix, rank):
        """Fit the gate on the slates with known positives.

        Parameters
        ----------
        slates : Slates
        standing : Standing
            Of their candidates, by the model.
        matrix : csr_matrix
            The interactions.
        rank : callable
            Items of calibration slates, and these slates, to their `Standing` by models that do not
            know their users.
        """
        calibrates = slates.calibrates
        supervision = standing[~calibrates][slates.relevance[~calibrates] == 0]
        slates = slates[calibrates]
        self.judge_stats_ |= {"calibration_slates": len(slates), "calibration_pairs": 0}
        pairs = None
        if len(slates):
            if not self.judge._draws_alike:
                known, design = recorded_design(slates, matrix, supervision, rank)
            else:
                known, design = rank(slates.items, slates), Design.of_one_recipe(slates.items.shape)
            pairs = compare_candidates(slates, known, design.offset)
        if pairs is None or not len(pairs.slate):
            warn(_why_not_calibrated(len(slates), self.judge.is_recorded), GateWarning)
            return
        self.judge_stats_["calibration_pairs"] = len(pairs.slate)
        right = slates.relevance[pairs.slate, pairs.preferred] == 1
        gate = ReliabilityGate() if isinstance(self.gate, str) else clone(self.gate)
        usual = {}
        if has_fit_parameter(gate, "sample_weight"):
            usual["sample_weight"] = pair_weights(pairs.sums(design.commonness))
        self.gate_ = gate.fit(pairs.evidence, right, groups=slates.users[pairs.slate], **usual)
        _log.info(
            "Calibrated the gate on %d pairs of %d slates, %d of which the judge got right.",
            len(right),
            len(slates),
            right.sum(),
        )

    def _weigh(self, slates, standing):
        """Weigh the preferences, (n_slates, n_pairs) float32 as `SlateTerms` has them."""
        self._slates, self._standing = slates, standing
        size, n_pairs, n_weighted = slates.items.shape[1], 0, 0
        packed = np.zeros((len(slates), size * (size - 1) // 2), dtype=np.float32)
        for start in range(0, len(slates), _SLATES_PER_CHUNK):
            some = slice(start, start + _SLATES_PER_CHUNK)
            pairs, weights = self._preferences(some)
            n_pairs, n_weighted = n_pairs + len(weights), n_weighted + int(np.sum(weights > 0))
            matrices = np.zeros((len(packed[some]), size, size), dtype=np.float32)
            matrices[pairs.slate, pairs.preferred, pairs.other] = weights
            packed[some] = pack_pairs(matrices)
        self.judge_stats_ |= {"pairs": n_pairs, "pairs_weighted": n_weighted}
        _log.info("%d of %d preferences weigh more than 0.", n_weighted, n_pairs)
        if isinstance(self.gate_, ReliabilityGate) and _log.isEnabledFor(logging.INFO):
            _log.info("%s", self.judge_summary_)
        self._warn_of_judge(np.max(np.abs(packed), initial=0))
        return packed

    def _warn_of_judge(self, largest):
        """Warn if a gate that was calibrated finds that the judge adds nothing, or too much.

        `largest` is the largest weight.
        """
        gate, n_pairs = self.gate_, self.judge_stats_["pairs"]
        n_weighted = self.judge_stats_["pairs_weighted"]
        if gate is None or getattr(gate, "is_fallback_", False):
            return  # it was told
        found = f"{gate.summary()} " if isinstance(gate, ReliabilityGate) else ""
        if n_weighted:
            if found and largest > _CERTAIN:
                warn(
                    f"{found}Some preferences have log-odds of up to {largest:.0f}: nobody is so "
                    "certain. Does the judge know interactions that are hidden from it, as one "
                    "that counts them, or a recommender that was fitted on them? Its answers must "
                    "come from what it is shown; otherwise it is trusted far too much.",
                    GateWarning,
                )
            return
        nothing = "the model is the same as without the judge"
        if n_pairs:
            what = f"None of {n_pairs:,} preferences counts: {nothing}."
            remedy = (
                "Look at its ratings, give it better item texts (item_text), ask a better model,"
            )
            if not found:
                remedy = "Look at the gate and at the ratings,"
            elif gate.adds_ and gate.threshold > ReliabilityGate().threshold:
                remedy = f"Lower the threshold of the gate, {gate.threshold:g},"
            elif gate.adds_ and gate.accuracies_["judge"] < _CLEARLY_WRONG:
                remedy = (
                    "It is wrong more often than right: look at which end of its scale is the best,"
                )
        else:
            what = f"There is no preference between items that are new to their user: {nothing}."
            remedy = "Judge slates of such items,"
        warn(f"{found}{what} {remedy} or leave the judge out.", GateWarning)

    def _regularizers(self, slates, weights, plain, final, shares=None, known=None):
        """Return the preferences as arguments of the regularized problem, and of the last update.

        Parameters
        ----------
        slates : Slates
        weights : ndarray
            From `_weigh`.
        plain, final : Factors
            Without preferences: before and after the last update of the users.
        shares : ndarray or None
            The users' periods.
        known : ndarray of int or None
            The items of which lists are made; None: all.

        Returns
        -------
        pairs, last_pairs : dict
        """
        users, items = with_bias(*final[:3], shares)
        worth = None
        if self.gate is not None:
            raters = np.unique(slates.users[weights.any(axis=1)])
            listed, seen = items, self._matrix[raters]
            if known is not None:
                listed, seen = items[known], seen[:, known]
            worth = np.zeros(len(users))
            slopes = log_rank_worth(users[raters], listed, seen, self._num_threads)
            worth[raters] = LOG_RANKS * slopes
        given = self._given is not None
        unit = PROXIMAL_UNIT if given else self._fitted_backbone.preference_unit
        n_factors, margin = final.users.shape[1], self.margin * final.unit

        def of(users, items):
            terms = preference_terms(
                slates, weights, users, items, n_factors, margin=margin, worth=worth
            )
            return {"slates": terms, "llm_weight": self.llm_weight * unit}

        last_pairs = of(users, items)
        if plain is final:  # there is no last update, or no margin that depends on factors
            return last_pairs, last_pairs
        return of(*with_bias(*plain[:3], shares)), last_pairs

    def _preferences(self, which=slice(None)):
        """Return the pairs of slates that may regularize, and their weights."""
        pairs = compare_candidates(self._slates[which], self._standing[which])
        n_pairs = len(pairs.slate)
        if self.gate is None:
            return pairs, np.ones(n_pairs)
        if self.gate_ is None or not n_pairs:
            return pairs, np.zeros(n_pairs)
        return pairs, checked_weights(self.gate_, pairs.evidence)

    @property
    def judgments_(self):
        """Preferences of the judge between items that users were not fitted on.

        Returns
        -------
        judgments : DataFrame of shape (n_pairs, 13)
            Ids of `user`, `preferred` and `other`, the gate's evidence, and `weight`, >= 0.
        """
        check_is_fitted(self)
        if self._slates is None:
            raise AttributeError(
                "There are no judgments_: the model was fitted without a judge, or the judge had "
                "no opinion at all, or the model was loaded from a file, which has none."
            )
        pairs, weights = self._preferences()
        items = self._slates.items
        return pd.DataFrame(
            {
                "user": self.users_[self._slates.users[pairs.slate]],
                "preferred": self.items_[items[pairs.slate, pairs.preferred]],
                "other": self.items_[items[pairs.slate, pairs.other]],
                **pairs.evidence,
                "weight": weights,
            }
        )

    @property
    def judge_summary_(self):
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
        if self._slates is None or not isinstance(self.gate_, ReliabilityGate):
            raise AttributeError(
                "There is no judge_summary_: the model was fitted without a judge, with gate=None "
                "or a gate of another kind, or without any slate to calibrate one; or it was "
                "loaded from a file, which has none."
            )
        step = -(-len(self._slates) // _SLATES_PER_CHUNK)
        evidence = compare_candidates(self._slates[::step], self._standing[::step]).evidence
        if evidence.empty:
            return self.gate_.summary()
        return self.gate_.summary(evidence, n_preferences=self.judge_stats_["pairs"])

    def _note(self):
        return getattr(self, "judge_summary_", "")

    # -- using ---------------------------------------------------------------------------------

    def predict(self, X, *, unknown_items="lowest"):
        """Score user-item pairs.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Users and items, in the columns `user_col` and `item_col`.
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
        check_same_columns(self, X, user_col=self.user_col, item_col=self.item_col)
        users, items, _ = read_columns(X, **self._id_columns())
        rows, columns = encode(self.users_, users), encode(self.items_, items)
        self._warn_of_foreign(users[rows < 0], len(rows))
        as_nan = unknown_items == "nan"
        warn_of_unknown(
            "items",
            items[columns < 0],
            len(rows),
            self.items_,
            "they are NaN"
            if as_nan
            else "they have each user's lowest score, which looks like any other. To tell them "
            "apart, pass unknown_items='nan'",
            tolerated="same type" if as_nan else "none",
        )
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _PAIRS_PER_CHUNK):
            part = slice(start, start + _PAIRS_PER_CHUNK)
            scores[part] = np.einsum(
                "nk,nk->n", self._user_rows(rows[part]), self.item_factors_[columns[part]]
            )
        unknown = np.flatnonzero(columns < 0)
        if as_nan:
            check_finite_model(scores)
            scores[unknown] = np.nan
            return scores
        if len(unknown):
            users, which = np.unique(rows[unknown], return_inverse=True)
            chunk = max(1, _SCORES_PER_CHUNK // len(self.items_))
            parts = np.split(users, range(chunk, len(users), chunk))
            lowest = [self._score_all(part).min(axis=1) for part in parts]
            scores[unknown] = np.concatenate(lowest)[which]
        check_finite_model(scores)
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

    def _score_all(self, rows):
        return self._user_rows(rows) @ self.item_factors_.T

    def _user_rows(self, rows):
        """Return factors by row; -1 is the mean user."""
        factors = self.user_factors_[rows]
        if (rows < 0).any():
            factors[rows < 0] = mean_user(self.user_factors_, len(self._periods))
        return factors

    def score(self, X, y=None):
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
            without shuffling, or more than half of the items.
        """
        check_is_fitted(self)
        check_same_columns(self, X, user_col=self.user_col, item_col=self.item_col)
        held_out = _index_table(X, y, **self._id_columns(), negatives=self.negatives)
        rows = encode(self.users_, held_out.users)
        columns = encode(self.items_, held_out.items)
        warn_of_unknown_ids(self, held_out.users, rows, held_out.items, columns)
        check_finite_model(self.user_factors_, self.item_factors_)
        return mean_ndcg(
            lambda part: self._score_all(rows[part]),
            held_out.matrix,
            columns,
            seen=self._seen[rows],
            verbose=self.verbose,
        )

    def recommend(
        self, users, n_items=10, *, filter_seen=True, items=None, exclude=None, as_frame=False
    ):
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
            user and item in each row (a DataFrame with the columns that `X` has, or an array or
            list of pairs), for single users, unknown ones too. Unknown items exclude nothing,
            with a warning.
        as_frame : bool, default=False
            Return a DataFrame.

        Returns
        -------
        items : ndarray of shape (n_users, n_items)
            Item ids, best first; None where there are not enough candidates. An `n_items` far
            above the number of items makes lists that are 1,000 longer than this number.
        scores : ndarray of shape (n_users, n_items), float32
            Their scores, as of `predict`; NaN there.
        table : DataFrame of shape (<= n_users * n_items, 4)
            Instead of both, with `as_frame`: a row for each recommended item, with the columns
            `user`, `rank` (from 1), `item` and `score`. User and item are called as in the
            DataFrame given to `fit`, if neither is called rank or score.

        Raises
        ------
        ValueError
            If `users` is not 1-D or has missing ids, or `n_items` not an integer >= 1; if `items`
            is not 1-D, is empty, or holds unknown ids alone; if `exclude` is neither ids nor a
            table.

        Warns
        -----
        DataWarning
            If some of `items` are unknown, which are left out, or items of `exclude`, which
            exclude nothing; if users have ids of another type than all fitted ones.

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
        check_is_fitted(self)
        users = read_ids(users, "users", self.users_)
        check_integer("n_items", n_items, 1)
        everywhere, pairs = read_excluded(
            exclude, self.items_, users, self.users_, **self._id_columns()
        )
        candidates = None if items is None else find_candidates(self.items_, items)
        if len(everywhere):
            everything = np.arange(len(self.items_)) if candidates is None else candidates
            candidates = np.setdiff1d(everything, everywhere)
        rows, seen = encode(self.users_, users), self._seen
        self._warn_of_foreign(users[rows < 0], len(rows))

        def barred(part):
            own = seen[rows[part]] if filter_seen else None
            if pairs is None:
                return own
            return pairs[part] if own is None else own + pairs[part]

        def user_rows(part):
            factors = self._user_rows(rows[part])
            check_finite_model(factors)
            return factors

        check_finite_model(self.item_factors_)
        columns, scores = best_items(
            user_rows,
            len(rows),
            self.item_factors_,
            n_items,
            barred=barred,
            candidates=candidates,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )
        if as_frame:
            return tidy(self._as_fitted(users, rows), self.items_, columns, scores, self._id_names)
        return pick_ids(self.items_, columns), scores

    def _as_fitted(self, users, rows):
        """Return user ids as they were fitted, if all were: the same dtype, for joins."""
        return self.users_[rows] if (rows >= 0).all() else users

    def similar_items(self, items, n_items=10, *, as_frame=False):
        """Find the most similar items of items.

        Parameters
        ----------
        items : array-like of shape (n_queries,)
            Item ids.
        n_items : int, default=10
            How many to find for each, >= 1.
        as_frame : bool, default=False
            Return a DataFrame.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_items)
            Ids of other items, the most similar first; None where there are no more.
        similarities : ndarray of shape (n_queries, n_items), float32
            Cosines of the item factors, in [-1, 1], without the item bias; NaN there.
        table : DataFrame of shape (<= n_queries * n_items, 4)
            Instead of both, with `as_frame`: a row for each found item, with the columns `item`
            (called as in the DataFrame given to `fit`), `rank` (from 1), `similar`, `score`.

        Raises
        ------
        KeyError
            For an item that is unknown.
        ValueError
            If `items` is not 1-D, or `n_items` not an integer >= 1.
        """
        check_is_fitted(self)
        items = read_ids(items, "items", self.items_)
        check_integer("n_items", n_items, 1)
        rows = find_known(self.items_, items, "item")
        check_finite_model(self.item_factors_)
        columns, scores = similar_rows(
            self.item_factors_[:, : self._fitted_backbone.factors],
            rows,
            n_items,
            num_threads=self._num_threads,
            verbose=self.verbose,
        )
        if as_frame:
            name = self._id_names[1]
            names = name, "similar" if name != "similar" else "similar_item"
            return tidy(self.items_[rows], self.items_, columns, scores, names)
        return pick_ids(self.items_, columns), scores

    def explain(self, user, item, *, by_feature=True):
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
            - `preference`: an item that the judge preferred, or not, when asked about this user.
            - `item_preference`: the item itself, preferred, or not, when asked about any user.
            - `bias`: the item bias, in the user's period.
            - `remainder`: what the sweeps left unsolved, and what the last update of the users
              (`recency_power`) changed. It is large after too few iterations, and after many
              fitted users were folded in anew.

            `source` holds item ids, or names of features as
            `item_encoder_.get_feature_names_out()` gives them: ``genres=Crime`` is the category or
            word *Crime* of the column *genres*. A history has a row for each item; for the main
            reasons take ``table.nlargest(5, "contribution")``, and for titles
            ``table["source"].map(titles)``.

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
        check_is_fitted(self)
        backbone = self._fitted_backbone
        if not isinstance(backbone, ALSBackbone) or self._given is not None:
            made = "from_factors" if self._given is not None else f"backbone={self.backbone!r}"
            raise ValueError(
                "explain takes solutions of linear equations apart, which only factors fitted with "
                f"backbone='als' are; got those of {made}."
            )
        user, item = read_id(user, "user", self.users_), read_id(item, "item", self.items_)
        (row,), (column,) = encode(self.users_, user), find_known(self.items_, item, "item")
        if row < 0:
            self._warn_of_foreign(user, 1)
        user_factors = self._user_rows(np.array([row]))[0]
        check_finite_model(self.user_factors_, self.item_factors_)
        k = backbone.factors
        model = Fitted(
            backbone, self.user_factors_[:, :k], self.item_factors_[:, :k],
            self._scale.apply(self._matrix), self._age, self._popularity, self._features,
            self._pairs,
            self._as_of_fit,
        )  # fmt: skip
        if self._features is not None:
            model = replace(model, coefficients=self._feature_coefficients(model))
        parts = explain(model, row, user_factors[:k], column, by_feature=by_feature)
        position = parts["position"].to_numpy()
        source = np.full(len(parts), None, dtype=object)
        # Positions of features are none of items: there may be more features than items.
        is_feature = (parts["kind"] == "feature").to_numpy()
        is_item = ~is_feature & (position >= 0)
        source[is_feature] = self._feature_names[position[is_feature]]
        source[is_item] = as_objects(self.items_[position[is_item]])
        rows = list(zip(parts["kind"], source, parts["contribution"], strict=True))
        if self.item_factors_.shape[1] > k:
            rows.append(("bias", None, float(user_factors[k:] @ self.item_factors_[column, k:])))
        score = float(user_factors @ self.item_factors_[column])
        rows.append(("remainder", None, score - sum(value for *_, value in rows)))
        kinds, sources, values = zip(*rows, strict=True)
        sources = pd.Series(sources, dtype=object)  # None stays None, and numbers as they are
        return pd.DataFrame({"kind": kinds, "source": sources, "contribution": values})

    def _feature_coefficients(self, model):
        """Return what items are regressed on, computed once for the same features and factors."""
        of = self._features, self.item_factors_
        kept = getattr(self, "_coefficients", (None, None, None))
        if kept[0] is not of[0] or kept[1] is not of[1]:
            self._coefficients = kept = (*of, feature_coefficients(model))
        return kept[2]

    @all_or_nothing
    def fold_in(self, X, y=None, *, known=None):
        """Compute the factors of users from their interactions, items fixed.

        The model itself changes; to keep it as it is, fold in to a ``copy.copy`` of it. New users
        are appended to `users_`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Interactions of these users. Those with unknown items are left out.
        y : array-like of shape (n_samples,), default=None
            Strengths, as in `fit`.
        known : "append", "replace" or None, default=None
            What becomes of the interactions of users that the model knows. "append": X adds to
            them, as if its rows had come after those before: repeated pairs add up, the newest
            ones by `time_col` (else X) count as such, and what a judge said goes on to act on the
            user. "replace": X is all there is, also instead of what a judge said. None: the same,
            with a warning if something is lost.

        Returns
        -------
        self : SelectiveLLMRegularizedMF

        Raises
        ------
        TypeError, ValueError
            As in `predict`; for strengths as in `fit`, and if factors are not finite; TypeError for
            times of another kind than in `fit`; ValueError if X is to be appended to what a model
            of :meth:`from_factors` does not know.

        Warns
        -----
        DataWarning
            If what was known of users is replaced and `known` does not say so; if items are
            unknown; if users have ids of another type than all known ones; if all times of a user
            lie far from those of `fit`.

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
        """
        check_is_fitted(self)
        if known not in (None, "append", "replace"):
            raise ValueError(f"known must be 'append', 'replace' or None; got {known!r}.")
        check_same_columns(self, X, **self._columns())
        # What takes off a strength may take it off what is known already.
        signed = {"negatives": "keep"} if known == "append" and self.negatives == "net" else {}
        added = _index_table(X, y, **self._reading() | signed, usual_width=self.n_features_in_)
        columns = encode(self.items_, added.items)
        unknown = columns < 0
        left_out = "their interactions are left out"
        warn_of_unknown("items", added.items[unknown], len(columns), self.items_, left_out)
        rows = encode(self.users_, added.users)
        new = rows < 0
        warn_of_unknown(
            "users",
            added.users[new],
            len(rows),
            self.users_,
            "they are added as new users",
            tolerated="same type",
        )
        told = check_times(self._time_kind, self._time_span, added, self.time_col)
        by_time = self.popularity_at == "user" and len(self._periods) > 1
        if told is not None and (by_time or known == "append"):
            warn(told)
        more = added.select_items(columns, len(self.items_))
        histories = Histories(self._matrix, self._age, self._times)
        before, after = histories[rows], more
        if known == "append":
            self._check_appendable(added.users, rows, before)
            after = before.add(more)
        elif known is None:
            lost = lose_strength(before.matrix, after.matrix) | self._is_judged(rows)
            if self._given is not None:  # factors that nobody can solve for again
                lost |= (rows >= 0) & (np.diff(before.matrix.indptr) == 0)
            self._warn_of_replaced(added.users, lost)
        shares = self._shares(added, before if known == "append" else None)
        factors = self._solve_folded(rows, before if known == "append" else None, after, shares)
        if known == "append":  # of whom nothing is added nothing changes
            same = (rows >= 0) & (np.diff(more.matrix.indptr) == 0)
            factors[same] = self.user_factors_[rows[same]]

        if self._given is not None:
            self._given = ()  # its rows may be replaced
        if known != "append":
            changed = rows[~new & (rows < len(self._as_of_fit))]
            self._as_of_fit = self._as_of_fit.copy()  # it may be memory-mapped by joblib
            self._as_of_fit[changed] = False
        rows[new] = len(self.users_) + np.arange(np.sum(new))
        source = np.arange(len(self.users_) + np.sum(new))  # where each user's row comes from
        source[rows] = len(self.users_) + np.arange(len(rows))
        histories = histories.stack(after)[source]
        self._matrix, self._age, self._times = (
            histories.matrix,
            histories.recency_rank,
            histories.times,
        )
        self.user_factors_ = np.concatenate([self.user_factors_, factors])[source]
        self.users_ = concatenate_ids(self.users_, added.users[new])
        return self

    def _is_judged(self, rows):
        """Tell of which users (-1: a new one) a judge's preferences act, (n,) bool."""
        judged = (rows >= 0) & (rows < len(self._as_of_fit))
        judged[judged] = self._as_of_fit[rows[judged]]
        if self._pairs is None:
            return np.zeros_like(judged)
        return judged & np.isin(rows, self._pairs["slates"].users)

    def _check_appendable(self, users, rows, before):
        """Raise if nothing is known of the interactions of users that others gave factors to."""
        blank = (rows >= 0) & (np.diff(before.matrix.indptr) == 0)
        if self._given is not None and blank.any():
            raise ValueError(
                "known='append' adds to interactions, of which from_factors knows none: "
                f"{blank.sum()} users of X have factors alone, such as "
                f"{users[blank].tolist()[0]!r}. Pass all of their interactions, with "
                "known='replace'."
            )

    def _warn_of_replaced(self, users, replaced):
        """Warn that histories are lost."""
        if replaced.any():
            warn(
                f"{replaced.sum()} of {len(users)} users of X are known to the model, such as "
                f"{users[replaced].tolist()[0]!r}, and X replaces more than it holds: items that "
                "they may now be recommended again, strengths, what a judge said, or given "
                "factors. Pass known='append' to add X to what is known, or known='replace' if "
                "that is meant."
            )

    def _solve_folded(self, rows, before, after, shares):
        """Solve for users whose interactions are as in `after`.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Of the users; -1 for new ones.
        before : Histories or None
            What was known of them, if `after` adds to it.
        after : Histories
        shares : ndarray of shape (n, n_periods), float32
        """
        backbone, k = self._fitted_backbone, self._fitted_backbone.factors
        weigh, items = self._scale.apply, self.item_factors_[:, :k]
        fixed = Factors(None, items, None, gain=self._gain)
        matrix = weigh(after.matrix)
        factors = backbone.solve_users(matrix, fixed, self._popularity, after.recency_rank)
        by_equations = isinstance(backbone, ALSBackbone) and self._given is None
        if before is not None and not by_equations:
            moved = np.flatnonzero((rows >= 0) & (np.diff(before.matrix.indptr) > 0))
            old = before[moved]
            solved = backbone.solve_users(
                weigh(old.matrix), fixed, self._popularity, old.recency_rank
            )
            factors[moved] += self.user_factors_[rows[moved], :k] - solved
        elif before is not None and self._pairs is not None:
            judged = np.flatnonzero(self._is_judged(rows))
            judged = judged[np.argsort(rows[judged])]
            if len(judged):
                pairs = dict(self._pairs)
                pairs["slates"] = pairs["slates"].of_users(
                    rows[judged], shares[judged], self.item_factors_[:, k:]
                )
                some = after[judged]
                factors[judged] = backbone.solve_judged(
                    weigh(some.matrix),
                    some.recency_rank,
                    factors[judged],
                    items,
                    self._popularity,
                    pairs,
                )
        check_finite_factors(backbone, matrix.data, factors)
        if self.item_factors_.shape[1] > k:
            factors = np.hstack([factors, shares])
        nobody = np.diff(after.matrix.indptr) == 0
        factors[nobody] = mean_user(self.user_factors_, len(self._periods))
        return factors

    def _shares(self, added, before):
        """Return the periods of users: that of their newest interaction, else the last one."""
        times = added.times
        if times is not None:
            times = np.where(added.matrix.data > 0, times, -np.inf)
        where = latest_positions(added.matrix, times, self._periods)
        if before is not None:
            where = np.maximum(where, latest_positions(before.matrix, before.times, self._periods))
        last = len(self._periods) - 1
        if self.popularity_at == "last":
            where[:] = last
        return period_weights(np.where(where < 0, np.float32(last), where), last + 1)

    @all_or_nothing
    def fold_in_items(self, item_data):
        """Place new items by their features, users fixed.

        They get the factors that a `fit` gives to items nobody has: what the ridge regression on
        the features leads to expect, shrunk as there; and the popularity that it leads to expect.
        From then on they can be recommended, and be in the X of `fold_in` and `predict`. The model
        itself changes; to keep it as it is, use a ``copy.copy`` of it.

        Parameters
        ----------
        item_data : DataFrame, Series or dict
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
            If no item is new, or if items have ids of another type than all known ones.

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
        if self._features is None or self.item_encoder_ is None:
            raise ValueError(
                "fold_in_items places items by their features, and the model has no "
                + (
                    "features: it was fitted without item_data or item_encoder."
                    if self._features is None
                    else "item_encoder_ to make them: a file does not hold it. Call fold_in_items "
                    "before save, or pickle the model."
                )
            )
        name = self._item_name(getattr(self, "feature_names_in_", ()))
        table = read_item_data(item_data, name)
        new = encode(self.items_, table.ids) < 0
        if not new.any():
            warn(f"All of {len(new)} items of item_data are known to the model: nothing changes.")
            return self
        warn_of_unknown(
            "items", table.ids[new], len(new), self.items_, "they are added as new items",
            tolerated="same type",
        )  # fmt: skip
        features = transform_items(self.item_encoder_, table, self._features.shape[1])[new]
        k = self._fitted_backbone.factors
        items, bias, own_bias = self._fitted_backbone.place_items(
            features,
            self._features,
            self._gram,
            self.item_factors_[:, :k],
            self.item_factors_[:, k:],
            self._own_bias,
            self._popularity,
        )
        strengths = self._scale.apply(self._matrix).data
        check_finite_factors(self._fitted_backbone, strengths, items, bias)
        n_items = len(self.items_) + len(items)
        self.items_ = concatenate_ids(self.items_, table.ids[new])
        self.item_factors_ = np.concatenate([self.item_factors_, np.hstack([items, bias])])
        if own_bias is not None:
            self._own_bias = np.concatenate([self._own_bias, own_bias])
        self._popularity = np.pad(self._popularity, (0, len(items)))
        self._features = sp.vstack([self._features, features], format="csr")
        parts = self._matrix.data, self._matrix.indices, self._matrix.indptr
        self._matrix = sp.csr_matrix(parts, (len(self.users_), n_items))
        return self

    def save(self, path):
        """Save the fitted model to a file without pickle, which anyone can safely load.

        What predicts is saved: ids, factors, interactions, and what `recommend`, `similar_items`,
        `fold_in` and `explain` need; and of the parameters those that are plain data. Not saved are
        `judge` and `item_data`, and `gate`, `item_encoder` and `random_state` if they are objects:
        a loaded model has the defaults of these parameters, and None as `judge_`, `gate_` and
        `item_encoder_`. To keep them, pickle the model, or give the parameters anew before another
        `fit` or a search; the fits warn otherwise, those of clones too.

        Parameters
        ----------
        path : str or path-like
            A file, named as you like (such as ``model.npz``); an old one is replaced when the new
            one is complete.

        Raises
        ------
        ValueError
            If ids cannot be stored (str, int, float, bool, bytes, date, datetime, UUID, Decimal,
            tuples of these and mixtures can), and if factors are not finite.

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
    def load(cls, path):
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

    def __getstate__(self):
        return {**super().__getstate__(), "_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        check_version(state.pop("_version", "(unknown)"), __version__)
        super().__setstate__(state)

    @property
    def _seen(self):
        """The fitted matrix with an empty last row, which -1 stands for: unknown users."""
        matrix = self._matrix
        indptr = np.append(matrix.indptr, matrix.indptr[-1])
        shape = matrix.shape[0] + 1, matrix.shape[1]
        return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape)


def _why_not_calibrated(n_slates, is_recorded):
    """Say why the gate has nothing to learn from, and what to do."""
    if n_slates:
        why = (
            f"In all {n_slates} slates by which the gate could be calibrated, the judge rated the "
            "user's known positives and the other candidates alike, or not at all"
        )
        what = "Look at its ratings: do they differ between candidates?"
    elif is_recorded:
        why = (
            "No slate of the judge holds both an item that its user was fitted on (and the judge "
            "was not shown) and another one"
        )
        what = "Judge slates with known positives among the candidates, "
    else:
        why = "No calibration question was asked and answered"
        what = (
            "Such questions need users with 4 or more interactions, calibration_share > 0, and "
            "answers: allow more of them, "
        )
    alike = "set gate=None to trust all preferences alike."
    what += f" Or {alike}" if n_slates else f"or {alike}"
    return f"{why}. So the gate cannot be calibrated, and trusts no preference. {what}"


def _index_table(X, y, **columns):
    """Index a table of interactions; a sparse matrix is refused as by `predict`."""
    if sp.issparse(X):
        read_columns(X)  # raises, and says why
    return index_interactions(X, y, **columns)


def _align(old, interactions):
    """Bring old factors into the rows of new interactions, and tell which were known."""
    users, items, factors = old
    rows, columns = encode(users, interactions.users), encode(items, interactions.items)
    own_bias = None if factors.own_bias is None else factors.own_bias[columns]
    aligned = factors._replace(
        users=factors.users[rows], items=factors.items[columns], own_bias=own_bias
    )
    return aligned, (rows >= 0, columns >= 0)


def _generator(random_state):
    """Return a Generator; an int seeds it as implicit does."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)
