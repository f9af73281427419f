"""WebSockets of an ASGI application: what it is told, and what its client sees."""
import ast
import signal
import subprocess
import textwrap
import time

import pytest

from driver import ABORT, BODY_BROKEN, FAILED, IS_IDLE, TIMED_OUT, WINDOW
from python_worker import PROGRAMS, Cases, variables
from websocket_client import ACCEPT, BINARY, CLOSE, TEXT, WebSocket, close_payload, frame


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def cases(request):
    if subprocess.run(["/usr/bin/python3", "-c", f"import {request.param}"], capture_output=True).returncode:
        pytest.skip(f"/usr/bin/python3 has no {request.param}")
    cases = Cases("asgi=websocket_cases:application", f"loop={request.param}")
    yield cases
    cases.zygote.close()


@pytest.fixture
def ask(cases):
    yield cases
    told(cases)


def told(ask):
    """What the application has noted, once it has noted anything."""
    return ast.literal_eval(ask("tell").text_body)


def socket(ask, path, *arguments, **keywords):
    return WebSocket(ask.worker, path, *arguments, **keywords)


# ---- the handshake ----

def test_an_echo_and_both_goodbyes(ask):
    one = socket(ask, "echo").opened()
    assert one.answer.head == f"Status: 101\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"
    for message in ("hello", b"\x00\xff", "", b"", "\u20ac" * 1000, b"x" * 70000):
        one.say(message)
        assert one.heard() == message
    one.send(frame(CLOSE, close_payload(3000, b"bye")))
    assert one.heard() == ("close", 3000, "bye")
    assert one.ended().logs == []
    assert told(ask) == [{"type": "websocket.disconnect", "code": 3000, "reason": "bye"}]


def test_the_scope_is_whole(ask):
    one = socket(ask, "scope", "a=1", SCRIPT_NAME="/chat", REQUEST_URI="/chat/scope?a=1", HTTPS="on", REMOTE_PORT="50000",
                 HTTP_SEC_WEBSOCKET_PROTOCOL="one, two", HTTP_ORIGIN="https://localhost").opened()
    scope = ast.literal_eval(one.heard())
    headers = dict(scope.pop("headers"))
    assert headers[b"origin"] == b"https://localhost" and headers[b"sec-websocket-protocol"] == b"one, two"
    assert scope == {
        "type": "websocket", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "scheme": "wss", "path": "/scope",
        "root_path": "/chat", "raw_path": b"/chat/scope", "query_string": b"a=1", "client": ("192.0.2.7", 50000), "server": ("localhost", 8080),
        "subprotocols": ["one", "two"], "extensions": {"websocket.http.response": {}}, "state": {}}
    assert one.heard() == ("close", 3001, "enough \u00e9")
    one.send(frame(CLOSE, close_payload(3001)))
    assert one.ended().logs == []
    assert told(ask) == [{"type": "websocket.disconnect", "code": 3001, "reason": "enough \u00e9"}]


def test_a_subprotocol_and_headers(ask):
    one = socket(ask, "chooses", HTTP_SEC_WEBSOCKET_PROTOCOL="one, two").opened()
    assert one.answer.head.endswith("Sec-WebSocket-Protocol: two\r\nx-one: 1\r\nSet-Cookie: a=b\r\n")
    one.send(last=True)
    one.ended()


def test_a_close_before_accept_is_a_403(ask):
    answer = socket(ask, "refuses").ended()
    assert (answer.status, answer.body, answer.flags & FAILED) == (403, b"", 0)
    assert told(ask) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_a_response_instead(ask):
    answer = socket(ask, "denies").ended()
    assert (answer.status, answer.header("www-authenticate"), answer.body, answer.logs) == (401, "Basic", b"who are you?", [])


HANDSHAKES = {
    "old_version": ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426), "no_version": ({"HTTP_SEC_WEBSOCKET_VERSION": None}, 426),
    "no_key": ({"HTTP_SEC_WEBSOCKET_KEY": None}, 400), "short_key": ({"HTTP_SEC_WEBSOCKET_KEY": "AAAA"}, 400),
    "bad_key": ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZ!=="}, 400),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_what_is_no_handshake_is_refused(ask, name):
    more, status = HANDSHAKES[name]
    answer = socket(ask, "echo", **more).ended()
    assert (answer.status, answer.flags) == (status, IS_IDLE)
    assert answer.header("Sec-WebSocket-Version") == ("13" if status == 426 else None)


# ---- ends ----

def test_an_application_that_returns_says_goodbye(ask):
    one = socket(ask, "returns").opened()
    assert one.heard() == ("close", 1000, "")
    one.send(frame(CLOSE, close_payload(1000)))
    assert one.ended().flags == IS_IDLE


def test_an_application_that_fails_says_so(ask):
    one = socket(ask, "raises").opened()
    assert one.heard() == ("close", 1011, "")
    one.send(frame(CLOSE, close_payload(1011)))
    assert any("ValueError: boom" in line for _, line in one.ended().logs)


def test_an_application_that_fails_before_it_accepts(ask):
    answer = socket(ask, "raises_first").ended()
    assert answer.head is None and answer.flags == IS_IDLE | FAILED and "ValueError: boom" in answer.text


@pytest.mark.parametrize("how", [ABORT, BODY_BROKEN, "half"])
def test_a_loss_is_a_disconnect(ask, how):
    one = socket(ask, "echo").opened()
    one.say("x")
    assert one.heard() == "x"
    one.send(last=True) if how == "half" else one.channel.send(how)
    assert one.ended().logs == []
    assert told(ask) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_a_loss_before_accept(ask):
    one = socket(ask, "never_accepts")
    one.channel.send(ABORT)
    one.ended()
    assert told(ask) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_messages_before_the_goodbye_are_received(ask):
    one = socket(ask, "receives_late").opened()
    one.send(frame(TEXT, b"early"), frame(CLOSE, close_payload(1001)))
    one.ended()
    assert told(ask) == ["early", {"type": "websocket.disconnect", "code": 1001, "reason": ""}]


def test_the_time_limit_is_that_of_handshakes(ask):
    answer = socket(ask, "sleeps_first", time_limit=0.1).ended()
    assert answer.flags == IS_IDLE | FAILED | TIMED_OUT
    one = socket(ask, "echo", time_limit=0.1).opened()
    time.sleep(0.3)
    one.say("still here")
    assert one.heard() == "still here"
    one.send(frame(CLOSE))
    assert one.heard() == ("close", None, "")
    one.ended()
    assert told(ask) == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}]


def test_an_application_that_goes_on_is_cancelled(ask):
    one = socket(ask, "stays", time_limit=0.2).opened()
    one.send(frame(CLOSE, close_payload(1000)))
    one.until(lambda: one.answer.ended)
    assert not one.answer.idle
    assert one.ended(5).flags == 0
    assert told(ask) == [(1000, "ClientLeft")]


def test_a_worker_that_is_replaced_says_so(python):
    worker = python("asgi=websocket_cases:application", f"root={PROGRAMS}").fork()
    one = WebSocket(worker, "echo", window=False).opened()
    one.say("x")
    assert one.heard() == "x"
    worker.signal(signal.SIGTERM)
    assert one.heard() == ("close", 1012, "")
    one.until(lambda: one.answer.ended)
    assert worker.wait() == 0


# ---- pressure ----

def test_a_slow_application_stops_its_own_client_alone(ask):
    slow = socket(ask, "deaf").opened()
    message, sent = frame(BINARY, b"y" * 4096), 0
    with pytest.raises(TimeoutError):
        while True:
            slow.until(lambda: slow.may_send >= len(message), 0.3)
            slow.send(message)
            sent += 1
    assert 10 < sent < 70
    opener = slow.beside("opens")
    slow.until(lambda: opener.idle)
    slow.send(frame(CLOSE, close_payload(1000)))
    slow.ended()
    assert told(ask) == [(sent, sent * 4096, 1000)]


def test_a_slow_client_stops_its_own_sender(ask):
    one = socket(ask, "large", window=False).opened()
    one.until(lambda: len(one.answer.body) == 256 * 1024)
    with pytest.raises(TimeoutError):
        one.take(0.1)
    one.channel.send(WINDOW, (1 << 20).to_bytes(4, "little"), stream=one.stream)
    for _ in range(10):
        assert one.heard() == b"x" * 100000
    assert one.heard() == ("close", 1000, "")
    one.send(frame(CLOSE, close_payload(1000)))
    one.ended()
    assert told(ask) == list(range(10))


def test_many_tasks_of_one_application(ask):
    one = socket(ask, "crowd").opened()
    assert sorted(one.heard() for _ in range(10)) == [str(number) * 50000 for number in range(10)]
    for text in "abc":
        one.say(text)
    assert one.heard() == "['a', 'b', 'c']"
    one.send(last=True)
    one.ended()


# ---- mistakes of the application ----

MISTAKES = {
    "both": ({"type": "websocket.send", "text": "a", "bytes": b"b"}, 'either "text" or "bytes"'),
    "neither": ({"type": "websocket.send", "text": None}, 'either "text" or "bytes"'),
    "bytes_as_text": ({"type": "websocket.send", "text": b"a"}, "must be a str"),
    "surrogate": ({"type": "websocket.send", "text": "\ud800"}, "surrogates not allowed"),
    "text_as_bytes": ({"type": "websocket.send", "bytes": "a"}, "bytes-like"),
    "code": ({"type": "websocket.close", "code": 1006}, "the code of websocket.close"),
    "long_reason": ({"type": "websocket.close", "reason": "x" * 124}, "at most 123 bytes"),
    "again": ({"type": "websocket.accept"}, "no place in a WebSocket that is open"),
    "after_close": ({"type": "websocket.close", "code": 3000}, "has been closed by websocket.close"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told(ask, name):
    event, text = MISTAKES[name]
    one = socket(ask, "sends", repr(event)).opened()
    assert one.heard() == ("close", 3000 if name == "after_close" else 1011, "")
    one.send(frame(CLOSE, close_payload(1000)))
    assert text in "\n".join(line for _, line in one.ended().logs)


@pytest.mark.parametrize("event, text", [
    ({"type": "websocket.send", "text": "a"}, "no place before websocket.accept"),
    ({"type": "websocket.accept", "subprotocol": "a b"}, "one word"),
    ({"type": "websocket.accept", "headers": [(b"Sec-WebSocket-Protocol", b"a")]}, "say subprotocol="),
    ({"type": "websocket.accept", "headers": [(b"a", b"b\r\nc: d")]}, "cannot be a header"),
])
def test_a_mistake_at_the_door(ask, event, text):
    answer = socket(ask, "accepts", repr(event)).ended()
    assert answer.head is None and answer.flags == IS_IDLE | FAILED and text in answer.text


# ---- pings, and other limits of time ----

def test_a_goodbye_is_not_waited_for_without_end(python):
    worker = python("asgi=websocket_cases:application", f"root={PROGRAMS}", "websocket_close_timeout=1").fork()
    one = WebSocket(worker, "returns").opened()
    assert one.heard() == ("close", 1000, "")
    assert one.ended(5).flags == IS_IDLE


@pytest.mark.parametrize("setting", ["websocket_max_size=0", "websocket_max_size=1M", "websocket_ping_interval=-1", "websocket_close_timeout=0"])
def test_a_setting_that_is_none(python, setting):
    zygote = python("asgi=websocket_cases:application", f"root={PROGRAMS}", setting, start=False)
    assert zygote.wait() == 70
    assert f"{setting} must be a whole number from " in zygote.printed()


def test_pings_and_their_timeout(python):
    zygote = python("asgi=websocket_cases:application", f"root={PROGRAMS}", "websocket_ping_interval=1", "websocket_ping_timeout=1")
    worker = zygote.fork()
    one = WebSocket(worker, "echo").opened()
    assert one.heard(5) == ("ping", b"")
    one.send(frame(10))
    assert one.heard(5) == ("ping", b"")
    assert one.heard(5) == ("close", 1011, "no answer to a ping")
    one.ended()
    assert "1006" in worker.call(variables("/tell")).text_body


# ---- frameworks ----

FASTAPI = """
    import fastapi
    app = fastapi.FastAPI()
    told = []
    @app.websocket("/room/{name}")
    async def room(websocket: fastapi.WebSocket, name: str, token: str = ""):
        if token != "good":
            raise fastapi.WebSocketException(code=1008)
        await websocket.accept()
        await websocket.send_json({"room": name})
        try:
            while True:
                await websocket.send_text((await websocket.receive_text()).upper())
        except fastapi.WebSocketDisconnect as error:
            told.append(error.code)
    @app.get("/told")
    async def tell():
        return told
"""


def test_fastapi(python, tmp_path):
    if subprocess.run(["/usr/bin/python3", "-c", "import fastapi"], capture_output=True).returncode:
        pytest.skip("/usr/bin/python3 has no fastapi")
    (tmp_path / "main.py").write_text(textwrap.dedent(FASTAPI))
    worker = python("asgi=main:app", f"root={tmp_path}").fork()
    assert WebSocket(worker, "room/one").ended().status == 403
    assert WebSocket(worker, "no/such/room").ended().status == 403
    one = WebSocket(worker, "room/one", "token=good").opened()
    assert one.heard().replace(" ", "") == '{"room":"one"}'
    one.say("hello")
    assert one.heard() == "HELLO"
    one.send(frame(CLOSE, close_payload(4001)))
    assert one.heard() == ("close", 4001, "")
    assert one.ended().logs == []
    assert worker.call(variables("/told")).text_body == "[4001]"
