"""`zygote(language, *settings)` starts a worker's executable; it is ended after the test."""
import pytest

from driver import Zygote, executable


@pytest.fixture
def zygote():
    started = []

    def start(language, *settings, **keywords):
        if not executable(language).exists():
            pytest.skip(f"{executable(language)} was not built")
        started.append(Zygote(language, *settings, **keywords))
        return started[-1]

    yield start
    for one in started:
        one.close()
