"""What tests of several folders are given."""

import pytest
from loopback import LLMServer
from worlds import World

from sklearn_selreg.datasets import load_movielens_coldstart


def pytest_collection_modifyitems(items):
    """Tests of `JudgeContract` that start processes are slow, too; it cannot mark them itself."""
    for item in items:
        if getattr(item, "originalname", None) == "test_works_in_several_processes":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def world():
    """Forty users with tastes; tests must not change it."""
    return World()


@pytest.fixture(scope="session")
def movielens():
    """MovieLens with its recorded answers; tests must not change it."""
    return load_movielens_coldstart()


@pytest.fixture
def server():
    """Start a service that asks like Claude's and GPT's, in a process of its own."""
    with LLMServer() as started:
        yield started
