"""Fixtures for tests in several folders."""

import pytest
from loopback import LLMServer
from worlds import World

from sklearn_selreg.datasets import load_movielens_coldstart


def pytest_collection_modifyitems(items):
    """Mark the tests of `JudgeContract` that start processes as slow; it cannot do so itself."""
    for item in items:
        if getattr(item, "originalname", None) == "test_works_in_several_processes":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def world():
    """Synthetic data with forty users; tests must not change it."""
    return World()


@pytest.fixture(scope="session")
def movielens():
    """MovieLens with recorded answers; tests must not change it."""
    return load_movielens_coldstart()


@pytest.fixture(scope="session")
def server_process():
    """The process of all servers; tests that kill a server start their own."""
    with LLMServer() as started:
        yield started


@pytest.fixture
def server(server_process):
    """A new server with the APIs of Claude and GPT, in another process."""
    with server_process.another() as service:
        yield service
