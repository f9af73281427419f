import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from module_harness import PhpSite, worker  # noqa: E402


@pytest.fixture
def php(folder, serve):
    if not worker("php"):
        pytest.skip("fivefold-php is not built")
    return PhpSite(folder, serve)
