import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from module_harness import PhpSite, worker  # noqa: E402
from python_site import PythonSite  # noqa: E402


@pytest.fixture
def php(folder, serve):
    if not worker("php"):
        pytest.skip("fivefold-php is not built")
    return PhpSite(folder, serve)


@pytest.fixture
def python(folder, serve):
    if not worker("python"):
        pytest.skip("fivefold-python is not built")
    return PythonSite(folder, serve)
