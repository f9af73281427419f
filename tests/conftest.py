"""Fixtures of all suites. `folder` is a temporary folder, `serve` starts servers in one; both are gone after the test.
`module_folder` and `module_serve` are the same for a whole test module."""
import os

import pytest

from harness import processes
from harness.folder import Folder
from harness.server import FIVEFOLD, Server

processes.adopt_orphans()


def pytest_report_header(config):
    return f"server under test: {FIVEFOLD}"


def _folders():
    folder = Folder()
    yield folder
    folder.remove()


def _servers(folder):
    if not os.access(FIVEFOLD, os.X_OK):
        pytest.fail(f"{FIVEFOLD} is not there; build it first or set FIVEFOLD", pytrace=False)
    started = []

    def serve(config, server="", **keywords):
        instance = Server(keywords.pop("folder", folder), config, server, **keywords)
        started.append(instance)
        return instance.start()

    yield serve
    faults = []
    for instance in reversed(started):
        try:
            instance.stop()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def folder():
    yield from _folders()


@pytest.fixture
def serve(folder):
    yield from _servers(folder)


@pytest.fixture(scope="module")
def module_folder():
    yield from _folders()


@pytest.fixture(scope="module")
def module_serve(module_folder):
    yield from _servers(module_folder)
