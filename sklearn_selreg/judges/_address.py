"""Addresses of services."""

from urllib.parse import urlsplit, urlunsplit


def check_address(base_url, name="base_url"):
    """Raise ValueError for invalid addresses; None stands for the client's default."""
    if base_url is None:
        return
    try:
        parts = urlsplit(base_url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (TypeError, ValueError, AttributeError):
        right = False
    if not right:
        raise ValueError(
            f"{name} must be None or an address that starts with http:// or https://, such as "
            f"'http://localhost:8000/v1'; got {base_url!r}."
        )


def lacks_scheme(base_url):
    """Whether the value looks like an address without http:// or https://."""
    return (
        isinstance(base_url, str)
        and "://" not in base_url
        and any(mark in base_url for mark in ".:/")
    )


def host_of(base_url):
    """Return the host of an address in lower case."""
    return (urlsplit(base_url).hostname or "").lower()


def without_password(address):
    """Return an address without user name and password."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
