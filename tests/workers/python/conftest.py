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


@pytest.fixture(scope="module", params=[1, 4], ids=["one", "threads"])
def ask(request):
    """With threads every answer is what it is without."""
    cases = Cases("wsgi=wsgi_cases:application", f"threads={request.param}")
    cases.threads = request.param
    yield cases
    cases.zygote.close()


@pytest.fixture(scope="module")
def alone():
    """The same without threads."""
    cases = Cases()
    yield cases
    cases.zygote.close()
