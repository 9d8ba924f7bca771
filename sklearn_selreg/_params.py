"""Parameters of parameters, such as `gate__C`."""


def check_nested(estimator, params, instances):
    """Raise for a parameter of a part that is no instance, and say what to pass.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As for `set_params`.
    instances : dict of str to str
        For each part that may have parameters, how an instance of it is made.

    Raises
    ------
    ValueError
    """
    for name, value in params.items():
        part, delimiter, _ = name.partition("__")
        if not delimiter or part not in instances:
            continue
        current = params.get(part, getattr(estimator, part))
        if not hasattr(current, "set_params"):
            kind = repr(current) if isinstance(current, str | None) else type(current).__name__
            raise ValueError(
                f"{name}={value!r} sets a parameter of {part}, but {part} is {kind}. Pass an "
                f"instance, as in {type(estimator).__name__}({part}={instances[part]}), then "
                f"{name} can be set and searched."
            )
