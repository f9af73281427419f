"""`ask(path)` sends a request to one worker of programs/wsgi_cases.py that a module's tests share."""
import pytest

from python_worker import Cases, start


@pytest.fixture
def python():
    """python("wsgi=...") starts a zygote, which is ended after the test."""
    started = []

    def begin(*settings, **keywords):
        started.append(start(*settings, **keywords))
        return started[-1]

    yield begin
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def ask():
    cases = Cases()
    yield cases
    cases.zygote.close()
