"""Warnings at the end of a run: missing answers, and problems with answers."""

from .._utils._warn import warn
from ..exceptions import BudgetWarning, JudgmentWarning
from ._cache import NANO
from ._same_model import same_model


def report(run):
    """Warn about missing and unusable answers of a run.

    Parameters
    ----------
    run : AskingRun
        The completed run.
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
            f"The cache {where} is not writable ({run.trouble}), so {name} stopped sending "
            f"requests; {missing} of {len(run.todo)} prompts have no answer. Free disk space or "
            "name another file as cache, and try again."
        )
    elif run.over and missing:
        totals, category = run.cache.totals(), BudgetWarning
        message = (
            f"{name} has reached its budget: {missing} of {len(run.todo)} prompts were not sent. "
            f"Spent so far with this cache: {totals.get('requests', 0)} requests, "
            f"${totals.get('cost', 0) / NANO:.4f} (max_requests={run.judge.max_requests}, "
            f"max_cost={run.judge.max_cost}). Increase the budget or decrease max_slates."
        )
    elif run.n_unanswered:
        message = (
            f"{run.n_unanswered} of {len(run.todo)} prompts got no answer from {run.judge.model}. "
            f"Last failure: {run.last_failure} They will be sent again next time."
        )
    else:
        return
    warn(message, category)


def _warn_of_problems(run):
    """Warn about answers that lack ratings, except refusals, which are valid answers."""
    problems = {
        n: c for n, c in run.problems.items() if n not in ("refusal", "too long", "not asked again")
    }
    if not problems:
        return
    what = ", ".join(f"{name}: {count}" for name, count in sorted(problems.items()))
    remedy = "Call judge.retry_failed() to request them again."
    if "truncated" in problems:
        remedy = f"Increase max_tokens to request truncated answers again. {remedy}"
    warn(
        f"{sum(problems.values())} of {len(run.todo)} answers of {run.judge.model} lack ratings "
        f"({what}), which are treated as no opinion. {remedy}",
        JudgmentWarning,
    )


def _warn_of_bad_ones(run):
    n_bad = run.problems["not asked again"]
    if n_bad:
        warn(
            f"{n_bad} of {len(run.todo)} answers of {run.judge.model} lack ratings and could not "
            "be requested again; the next call does so.",
            JudgmentWarning,
        )


def _warn_of_no_completions(run):
    if run.no_completions:
        warn(
            f"{len(run.no_completions)} responses with status 200 were not completions and were "
            f"requested again; as their cost is unknown, the maximum was charged to the budget. "
            f"The last one: {run.no_completions[-1]}",
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
        f"{run.address}{tokens}. They were shortened and sent again; {n_left} of them remain "
        "without opinion. Increase the context length per slot of the server, show fewer items "
        "(a smaller size in SlateSampler), or truncate their texts (max_item_chars="
        f"{run.judge.max_item_chars}).",
        JudgmentWarning,
    )


def _warn_of_another_model(run):
    others = [name for name in run.models if name and not same_model(run.judge.model, name)]
    if others:
        warn(
            f"{run.address} reports that {' and '.join(map(repr, sorted(others)))} answered, not "
            f"{run.judge.model!r}. Some servers ignore the requested model: set model to the one "
            "that is served.",
            JudgmentWarning,
        )


def warn_of_several_models(judge, models):
    """Warn if the answers of a judge come from several models.

    Parameters
    ----------
    judge : LiveJudge
    models : dict of str to int
        Number of answers by model, as reported by the service.
    """
    if len(models) < 2:
        return
    counts = ", ".join(f"{count} of {name!r}" for name, count in models.items())
    warn(
        f"The cached answers of {judge.model!r} come from several models according to the "
        f"service: {counts}. They are used as answers of one judge. To prevent this, use the full "
        "name of a model or name another file as cache.",
        JudgmentWarning,
    )
