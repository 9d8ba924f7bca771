"""What is said after asking: what was not asked, and what was answered in an odd way."""

from .._utils._warn import warn
from ..exceptions import BudgetWarning, JudgmentWarning
from ._cache import NANO
from ._same_model import same_model


def report(run):
    """Warn of what a run has left undone, and of answers that are no use.

    Parameters
    ----------
    run : AskingRun
        That has ended.
    """
    _warn_of_missing(run)
    _warn_of_problems(run)
    _warn_of_bad_ones(run)
    _warn_of_no_completions(run)
    _warn_of_long_prompts(run)
    _warn_of_another_model(run)


def _warn_of_missing(run):
    missing = len(run.todo) - len(run.found)
    name, category = type(run.judge).__name__, JudgmentWarning
    if run.trouble and (run.over or missing):
        where = run.cache.path or "in memory"
        message = (
            f"The cache {where} cannot be written to ({run.trouble}), so {name} asks nothing "
            f"more; {missing} of {len(run.todo)} prompts are without answer. Make room or name "
            "another file as cache, and ask again."
        )
    elif run.over and missing:
        totals, category = run.cache.totals(), BudgetWarning
        message = (
            f"{name} has reached its budget: {missing} of {len(run.todo)} prompts were not asked. "
            f"Spent so far with this cache: {totals.get('requests', 0)} requests, "
            f"${totals.get('cost', 0) / NANO:.4f} (max_requests={run.judge.max_requests}, "
            f"max_cost={run.judge.max_cost}). Raise it, or ask less with a smaller max_slates."
        )
    elif run.n_unanswered:
        message = (
            f"{run.n_unanswered} of {len(run.todo)} prompts got no answer from {run.judge.model}, "
            f"the last because of: {run.last_failure} They will be asked again next time."
        )
    else:
        return
    warn(message, category)


def _warn_of_problems(run):
    """Warn of answers that cannot be read; a refusal is the model's own, and stays."""
    problems = {
        n: c for n, c in run.problems.items() if n not in ("refusal", "too long", "not asked again")
    }
    if not problems:
        return
    what = ", ".join(f"{name}: {count}" for name, count in sorted(problems.items()))
    remedy = "judge.retry_failed() has them asked again."
    if "truncated" in problems:
        remedy = f"A larger max_tokens has those asked again that were cut off; {remedy}"
    warn(
        f"{sum(problems.values())} of {len(run.todo)} answers of {run.judge.model} lack ratings "
        f"({what}), which count as no opinion. {remedy}",
        JudgmentWarning,
    )


def _warn_of_bad_ones(run):
    n_bad = run.problems["not asked again"]
    if n_bad:
        warn(
            f"{n_bad} of {len(run.todo)} answers of {run.judge.model} lack ratings, and could not "
            "be asked for once more; they are next time.",
            JudgmentWarning,
        )


def _warn_of_no_completions(run):
    if run.no_completions:
        warn(
            f"{len(run.no_completions)} replies with the status 200 were no completion, and were "
            f"asked again; their cost is not known, and counted at the most it may be. The last: "
            f"{run.no_completions[-1]}",
            JudgmentWarning,
        )


def _warn_of_long_prompts(run):
    if not run.too_long:
        return
    n_left = run.problems["too long"]
    told = next((error for error in run.too_long if error.limit), run.too_long[-1])
    tokens = f" ({told.n_tokens:,} tokens of {told.limit:,})" if told.limit else f": {told}"
    warn(
        f"{len(run.too_long)} of {len(run.todo)} prompts are too long for {run.judge.model} at "
        f"{run.address}{tokens}. They were shortened and asked once more; {n_left} of them are "
        "without opinion. Allow a longer context for each slot of the server, show fewer items "
        "(a smaller size in SlateSampler), or cut their texts (max_item_chars="
        f"{run.judge.max_item_chars}).",
        JudgmentWarning,
    )


def _warn_of_another_model(run):
    others = [name for name in run.models if name and not same_model(run.judge.model, name)]
    if others:
        warn(
            f"{run.address} says that {' and '.join(map(repr, sorted(others)))} answered, not "
            f"{run.judge.model!r}: some servers ignore the name of the model. Name the one that "
            "is served as model.",
            JudgmentWarning,
        )


def warn_of_several_models(judge, models):
    """Warn if answers that count as one judge's come from several models.

    Parameters
    ----------
    judge : LiveJudge
    models : dict of str to int
        Number of answers by the name that the service says.
    """
    if len(models) < 2:
        return
    counts = ", ".join(f"{count} of {name!r}" for name, count in models.items())
    warn(
        f"The cached answers of {judge.model!r} come from several models, as the service says: "
        f"{counts}. They are used as those of one judge. If that is not wanted, name the model by "
        "its full name, or name another file as cache.",
        JudgmentWarning,
    )
