"""What a judge would be asked, and what that would cost."""

from dataclasses import dataclass

from .._utils._display import as_table
from .._utils._warn import warn
from ..exceptions import BudgetWarning
from ..judges import BaseJudge, CostEstimate, FrozenJudge, Slate
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
    JudgingPlan(2 slates for 1 fit: 2 prompts, 0 of them cached; 0 requests)
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
        return FrozenJudge.record(self.judge, self.slates)

    def __repr__(self) -> str:
        e = self.estimate
        parts = f"{e.requests:,} requests"
        if e.input_tokens:
            parts += f", about {e.input_tokens:,} input and {e.output_tokens:,} output tokens"
        if e.requests and e.cost is not None:
            parts += f", about ${e.cost:.4f} and at most ${e.max_cost:.4f}"
        left = [_amount(name, amount) for name, amount in self.judge._budget_left().items()]
        if left:
            parts += f"; left of the budget: {' and '.join(left)}"
        return (
            f"JudgingPlan({pluralize(len(self.slates), 'slate')} for "
            f"{pluralize(self.n_fits, 'fit')}: "
            f"{pluralize(e.prompts, 'prompt')}, {e.cached:,} of them cached; {parts})"
        )

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
                    f"questions would be asked. Raise {name}, or ask less with a smaller "
                    "max_slates.",
                    BudgetWarning,
                )


def _amount(name: str, amount: float) -> str:
    """Write an amount of what a parameter limits."""
    return f"${amount:.4f}" if name == "max_cost" else pluralize(amount, "request")
