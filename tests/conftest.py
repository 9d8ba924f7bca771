"""Shared fixtures."""

import pytest
from loopback import LLMServer
from worlds import World

from sklearn_selreg.datasets import load_movielens_coldstart


def pytest_collection_modifyitems(items):
    """Mark `JudgeContract` tests that start processes as slow; they cannot mark themselves."""
    for item in items:
        if getattr(item, "originalname", None) == "test_works_in_several_processes":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def world():
    """Forty users with tastes; tests must not modify it."""
    return World()


@pytest.fixture(scope="session")
def movielens():
    """MovieLens with its recorded answers; tests must not modify it."""
    return load_movielens_coldstart()


@pytest.fixture
def server():
    """Start a server that imitates the Claude and GPT APIs, in its own process."""
    with LLMServer() as started:
        yield started
