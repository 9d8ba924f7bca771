"""Fixtures for tests in several folders."""

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


@pytest.fixture(scope="session")
def server_process():
    """A process for all servers of tests; those that kill one start it themselves."""
    with LLMServer() as started:
        yield started


@pytest.fixture
def server(server_process):
    """A new service with APIs like Claude's and GPT's, in another process."""
    with server_process.another() as service:
        yield service
