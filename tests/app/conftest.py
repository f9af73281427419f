import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from app_harness import Application  # noqa: E402


@pytest.fixture
def application(folder, serve):
    return Application(folder, serve)
