"""An estimator from parameters as passed to `set_params`, including nested ones."""

from sklearn_selreg import SelectiveLLMRegularizedMF


def make_estimator(**params):
    """Build an estimator, e.g. ``make_estimator(factors=4, slates__size=8)``."""
    return SelectiveLLMRegularizedMF().set_params(**params)
