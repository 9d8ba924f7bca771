"""Plan of the slates a judge would be queried on, with an estimate of the cost."""

from dataclasses import dataclass

from .._utils._display import as_table
from .._utils._warn import warn
from ..exceptions import BudgetWarning
from ..judges import BaseJudge, CostEstimate, FrozenJudge, Slate
from ..judges._positions import one_check
from ._asking import pluralize


@dataclass(frozen=True, eq=False)
class JudgingPlan:
    """Slates that a judge would be queried on, and the estimated cost.

    Attributes
    ----------
    slates : list of Slate
        All distinct slates, in query order.
    n_fits : int
        Number of planned fits.
    estimate : CostEstimate
        Estimated prompts, requests, tokens and cost.
    judge : BaseJudge
        Judge that would be queried.

    Examples
    --------
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
    >>> from sklearn_selreg.judges import ContentJudge
    >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
    >>> model = SelectiveLLMRegularizedMF(judge=ContentJudge(), slates=SlateSampler(size=2))
    >>> model.plan_judging(likes)
    JudgingPlan(nothing to pay: 2 slates for 1 fit, 2 prompts (0 cached), 0 requests)
    """

    slates: list[Slate]
    n_fits: int
    estimate: CostEstimate
    judge: BaseJudge

    def ask(self) -> BaseJudge:
        """Query the judge on all slates now and return a judge that holds the answers.

        With the returned object as `judge`, the planned fits send no requests and open no cache,
        even on the workers of a cluster.

        Returns
        -------
        judge : FrozenJudge
            A recorded judge is returned unchanged.

        Raises
        ------
        TypeError, ValueError, JudgeError
            As for `answers` of the judge.
        """
        if self.judge.is_recorded:
            return self.judge
        with one_check():
            return FrozenJudge.record(self.judge, self.slates)

    def __repr__(self) -> str:
        e = self.estimate
        parts = [
            f"{pluralize(len(self.slates), 'slate')} for {pluralize(self.n_fits, 'fit')}",
            f"{pluralize(e.prompts, 'prompt')} ({e.cached:,} cached)",
            pluralize(e.requests, "request"),
        ]
        if e.input_tokens:
            parts.append(f"about {e.input_tokens:,} input and {e.output_tokens:,} output tokens")
        left = [_amount(name, amount) for name, amount in self.judge._budget_left().items()]
        budget = f"; remaining budget: {' and '.join(left)}" if left else ""
        return f"JudgingPlan({self._cost()}: {', '.join(parts)}{budget})"

    def _cost(self):
        """Describe the cost."""
        e = self.estimate
        if e.requests and (e.cost is None or e.max_cost is None):
            return "cost unknown, because the price of the model is unknown"
        if not e.max_cost:
            return "nothing to pay"
        return f"about {_dollars(e.cost)}, at most {_dollars(e.max_cost)}"

    def _repr_html_(self) -> str:
        e = self.estimate
        rows = {
            "fits": f"{self.n_fits:,}",
            "slates": f"{len(self.slates):,}",
            "prompts": f"{e.prompts:,}",
            "cached prompts": f"{e.cached:,}",
            "requests": f"{e.requests:,}",
        }
        if e.input_tokens:
            rows["input tokens (estimate)"] = f"{e.input_tokens:,}"
            rows["output tokens (estimate)"] = f"{e.output_tokens:,}"
        if e.requests and e.cost is not None:
            rows["cost (estimate)"] = f"${e.cost:.4f}"
            rows["cost (maximum)"] = f"${e.max_cost:.4f}"
        for name, amount in self.judge._budget_left().items():
            rows[f"remaining {name}"] = _amount(name, amount)
        return as_table(f"Judging plan of {type(self.judge).__name__}", rows)

    def warn_if_too_much(self) -> None:
        """Warn if the plan is estimated to exceed the judge's budget."""
        planned = {"max_requests": self.estimate.requests, "max_cost": self.estimate.cost}
        for name, left in self.judge._budget_left().items():
            needed = planned[name]
            if needed is not None and needed > left:
                warn(
                    f"The plan needs {'about ' * (name == 'max_cost')}"
                    f"{_amount(name, needed)}, but the judge's budget ({name}="
                    f"{getattr(self.judge, name)}) has only {_amount(name, left)} left, so not all "
                    f"prompts would be sent. Raise {name} or lower max_slates.",
                    BudgetWarning,
                )


def _amount(name: str, amount: float) -> str:
    """Format an amount in the unit of a budget parameter."""
    return _dollars(amount) if name == "max_cost" else pluralize(amount, "request")


def _dollars(amount: float) -> str:
    """Format USD with two decimals, or four below one dollar."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
