"""The estimator of parameters as `set_params` takes them, those of its parts included."""

from sklearn_selreg import SelectiveLLMRegularizedMF


def make_estimator(**params):
    """Make one, as ``make_estimator(factors=4, slates__size=8, backbone__recency_power=0)``."""
    return SelectiveLLMRegularizedMF().set_params(**params)
