"""What a judge would be asked, and what that would cost."""

from dataclasses import dataclass

from .._utils._display import as_table
from .._utils._warn import warn
from ..exceptions import BudgetWarning
from ..judges import BaseJudge, CostEstimate, FrozenJudge, Slate
from ..judges._positions import one_check
from ._asking import pluralize


@dataclass(frozen=True, eq=False)
class JudgingPlan:
    """What a judge would be asked.

    Attributes
    ----------
    slates : list of Slate
        All distinct ones, in the order in which they would be asked.
    n_fits : int
        Number of fits that were planned for.
    estimate : CostEstimate
        What asking them would take.
    judge : BaseJudge
        Who would be asked.

    Examples
    --------
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
    >>> from sklearn_selreg.judges import ContentJudge
    >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
    >>> model = SelectiveLLMRegularizedMF(judge=ContentJudge(), slates=SlateSampler(size=2))
    >>> model.plan_judging(likes)
    JudgingPlan(nothing to pay: 2 slates for 1 fit, 2 prompts (0 answered before), 0 requests)
    """

    slates: list[Slate]
    n_fits: int
    estimate: CostEstimate
    judge: BaseJudge

    def ask(self) -> BaseJudge:
        """Ask all slates, here and now, and return a judge that carries the answers.

        With it as `judge`, the fits that were planned for ask nothing and open no cache, wherever
        they run: on all workers of a cluster.

        Returns
        -------
        judge : FrozenJudge
            A recorded judge is returned as it is.

        Raises
        ------
        TypeError, ValueError, JudgeError
            As `answers` of the judge.
        """
        if self.judge.is_recorded:
            return self.judge
        with one_check():
            return FrozenJudge.record(self.judge, self.slates)

    def __repr__(self) -> str:
        e = self.estimate
        parts = [
            f"{pluralize(len(self.slates), 'slate')} for {pluralize(self.n_fits, 'fit')}",
            f"{pluralize(e.prompts, 'prompt')} ({e.cached:,} answered before)",
            pluralize(e.requests, "request"),
        ]
        if e.input_tokens:
            parts.append(f"about {e.input_tokens:,} input and {e.output_tokens:,} output tokens")
        left = [_amount(name, amount) for name, amount in self.judge._budget_left().items()]
        budget = f"; left of the budget: {' and '.join(left)}" if left else ""
        return f"JudgingPlan({self._cost()}: {', '.join(parts)}{budget})"

    def _cost(self):
        """Say what it costs, before all else."""
        e = self.estimate
        if e.requests and (e.cost is None or e.max_cost is None):
            return "cost unknown, as is the price of the model"
        if not e.max_cost:
            return "nothing to pay"
        return f"about {_dollars(e.cost)}, at most {_dollars(e.max_cost)}"

    def _repr_html_(self) -> str:
        e = self.estimate
        rows = {
            "fits": f"{self.n_fits:,}",
            "slates": f"{len(self.slates):,}",
            "prompts": f"{e.prompts:,}",
            "of these cached": f"{e.cached:,}",
            "requests": f"{e.requests:,}",
        }
        if e.input_tokens:
            rows["input tokens, about"] = f"{e.input_tokens:,}"
            rows["output tokens, about"] = f"{e.output_tokens:,}"
        if e.requests and e.cost is not None:
            rows["cost, about"] = f"${e.cost:.4f}"
            rows["cost, at most"] = f"${e.max_cost:.4f}"
        for name, amount in self.judge._budget_left().items():
            rows[f"left of {name}"] = _amount(name, amount)
        return as_table(f"What {type(self.judge).__name__} would be asked", rows)

    def warn_if_too_much(self) -> None:
        """Warn if the judge's budget will not do, as far as one can tell."""
        planned = {"max_requests": self.estimate.requests, "max_cost": self.estimate.cost}
        for name, left in self.judge._budget_left().items():
            needed = planned[name]
            if needed is not None and needed > left:
                warn(
                    f"The plan needs {'about ' * (name == 'max_cost')}"
                    f"{_amount(name, needed)}, but of the judge's budget ({name}="
                    f"{getattr(self.judge, name)}) only {_amount(name, left)} are left: not all "
                    f"prompts would be sent. Raise {name}, or ask less with a smaller "
                    "max_slates.",
                    BudgetWarning,
                )


def _amount(name: str, amount: float) -> str:
    """Write an amount of what a parameter limits."""
    return _dollars(amount) if name == "max_cost" else pluralize(amount, "request")


def _dollars(amount: float) -> str:
    """Write USD to the cent, below one with four digits."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
