"""Short versions of the scenarios of ``make torture``."""

import os

import faults
import pytest
import torture

SHORT = {
    "killed live": (torture.killed, {"n_faults": 2}),
    "killed in batches": (torture.killed, {"n_faults": 1, "n_slates": 20, "batch": True}),
    "killed within a budget": (torture.killed_within_budget, {"n_faults": 2}),
    "two processes with wrong clocks": (torture.wrong_clocks, {}),
    "deleted, but not its parts, under two": (
        torture.deleted,
        {"n_processes": 2, "left": ("-wal", "-shm")},
    ),
    "full disk": (torture.full_disk, {}),
    "faulty service": (torture.faulty_service, {"n_faults": 2}),
    "collected by two": (torture.collected_by_two, {}),
}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_paid_twice_or_over_budget(name, tmp_path):
    scenario, settings = SHORT[name]
    found = scenario(tmp_path, **settings)
    assert not any((found.lost, found.twice, found.over))  # None: not measured
    assert found.prompts > 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("fault", [fault for fault, _ in faults.FAULTS.values()])
def test_faults_of_servers_lose_nothing_and_are_counted(fault, tmp_path):
    found = fault(tmp_path)
    assert found.kept == found.prompts > 0
    assert found.lost == 0
    assert found.counted
