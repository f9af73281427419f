"""Starting fivefold-python and asking it, as the tests of this folder do."""
import pathlib
import time

import pytest

from driver import Answer, Zygote, executable

PROGRAMS = pathlib.Path(__file__).parent / "programs"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


def variables(path, query="", method="GET", **more):
    """The CGI variables of a request to an application at the root of the server; None takes one away."""
    known = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "fivefold", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "8080",
        "REMOTE_ADDR": "192.0.2.7", "REQUEST_METHOD": method, "REQUEST_SCHEME": "http", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "HTTP_HOST": "localhost:8080"}
    return {name: value for name, value in (known | more).items() if value is not None}


def start(*settings, **keywords):
    if not executable("python").exists():
        pytest.skip("fivefold-python was not built")
    return Zygote("python", *settings, environment=ENVIRONMENT | keywords.pop("environment", {}), **keywords)


class Cases:
    def __init__(self, *settings):
        self.zygote = start(f"root={PROGRAMS}", *settings or ["wsgi=wsgi_cases:application"])
        self.worker = self.zygote.fork()

    def __call__(self, path, query="", method="GET", body=b"", first=None, time_limit=0, flags=0, **more):
        if body and method == "GET":
            method = "POST"
        if body:
            more.setdefault("CONTENT_LENGTH", str(len(body)))
        return self.worker.call(variables("/" + path, query, method, **more), body, first, time_limit=time_limit, flags=flags)

    def begin(self, path, query="", method="GET", body=b"", **keywords):
        self.worker.channel.begin(variables("/" + path, query, method), body, **keywords)
        return self.worker.channel


class Several:
    """Many requests on one channel at once."""

    def __init__(self, ask):
        self.channel, self.answers = ask.worker.channel, {}

    def begin(self, path, query="", flags=0, method="GET", **keywords):
        self.channel.begin(variables("/" + path, query, method), flags=flags, **keywords)
        self.answers[self.channel.stream] = Answer()
        return self.channel.stream

    def until(self, condition, timeout=20):
        end = time.monotonic() + timeout
        while not condition():
            kind, flags, stream, payload = self.channel.receive(max(0, end - time.monotonic()))
            self.answers[stream].take(kind, flags, payload)

    def idle(self, *streams):
        self.until(lambda: all(self.answers[one].idle for one in streams))
        return [self.answers[one] for one in streams]
