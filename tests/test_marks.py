"""The marks are strict: see process_mark.py."""

from __future__ import annotations

import pytest
from process_mark import NO_MARK, NO_PROCESS

pytest_plugins = ["pytester"]
CONFTEST = """
from process_mark import ProcessMark

def pytest_configure(config):
    config.addinivalue_line("markers", "process: starts another process")
    config.pluginmanager.register(ProcessMark())
"""
TESTS = """
import os, subprocess, sys
import pytest

def start():
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)

@pytest.fixture(scope="module")
def made_by_a_process():
    start()

def test_none():
    pass

@pytest.mark.process
def test_marked():
    start()

def test_unmarked():
    start()

def test_unmarked_fork():
    if os.fork() == 0:
        os._exit(0)

def test_unmarked_system():
    os.system("true")

def test_unmarked_and_caught():
    with pytest.raises(pytest.fail.Exception):
        start()

@pytest.mark.process
def test_marked_for_nothing():
    pass

@pytest.mark.process
def test_first_of_the_fixture(made_by_a_process):
    pass

@pytest.mark.process
def test_second_of_the_fixture(made_by_a_process):
    pass

def test_third_of_the_fixture(made_by_a_process):
    pass

def test_that_asks_about_the_machine():
    subprocess.run(["uname"], stdout=subprocess.DEVNULL)

@pytest.mark.process
@pytest.mark.skip
def test_skipped():
    pass
"""
UNMARKED = (
    "unmarked",
    "unmarked_fork",
    "unmarked_system",
    "unmarked_and_caught",
    "third_of_the_fixture",
)


@pytest.mark.process
def test_the_mark_of_a_test_says_whether_it_starts_a_process(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    reports = pytester.inline_run("-p", "no:cacheprovider", "--strict-markers")
    reports.assertoutcome(passed=5, failed=6, skipped=1)
    sentences = {
        report.nodeid.partition("::test_")[2]: report.longreprtext
        for report in reports.getfailures()
    }
    assert sentences == {"marked_for_nothing": NO_PROCESS, **dict.fromkeys(UNMARKED, NO_MARK)}


def test_a_mark_that_nobody_declared_is_an_error(pytestconfig: pytest.Config) -> None:
    assert "--strict-markers" in pytestconfig.getini("addopts")
    declared = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert {"process", "slow", "gpu"} <= declared
