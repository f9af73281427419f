"""ASGI applications: scope, events, several requests at once, lifespan (asgiref's specification)."""
import ast
import struct
import subprocess
import textwrap
import time

import pytest

from driver import ABORT, BODY, BODY_BROKEN, BROKEN, END, FAILED, HEAD, HEAD_ONLY, IDLE, IS_IDLE, LAST, OUTPUT, TIMED_OUT, UNKNOWN_LENGTH, WANT, WINDOW, WINDOWED
from harness.server import SANITIZED
from python_worker import PROGRAMS, Cases, Several, start, variables


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def ask(request):
    if subprocess.run(["/usr/bin/python3", "-c", f"import {request.param}"], capture_output=True).returncode:
        pytest.skip(f"/usr/bin/python3 has no {request.param}")
    cases = Cases("asgi=asgi_cases:application", f"loop={request.param}")
    yield cases
    cases.zygote.close()


def told(ask):
    return ast.literal_eval(ask("tell").text_body)


CASES = {"one": (200, b"hello", "5"), "pieces": (200, b"onetwo", None), "own_length": (200, b"hello", "5"), "no_content": (204, b"", None)}


@pytest.mark.parametrize("path", CASES)
def test_what_was_given_is_sent(ask, path):
    answer = ask(path)
    assert (answer.status, answer.body, answer.header("Content-Length")) == CASES[path]
    assert answer.idle and not answer.flags & (BROKEN | FAILED) and answer.logs == []


def test_headers_keep_their_order_and_number(ask):
    assert ask("own_length").head == "Status: 200\r\nContent-Length: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"


def test_head_has_the_head_alone(ask):
    answer = ask("one", method="HEAD", flags=HEAD_ONLY)
    assert (answer.status, answer.body, answer.header("Content-Length"), answer.flags) == (200, b"", "5", IS_IDLE)


def test_a_short_response_leaves_in_one_piece(ask):
    channel = ask.begin("one")
    first = channel.receive()
    kinds = [first[0]]
    while channel.buffer:
        kinds.append(channel.receive()[0])
    assert kinds == [HEAD, OUTPUT, END]


def test_pieces_leave_as_they_come(ask):
    assert ask("pieces").outputs == [b"one", b"two"]


def test_the_scope_is_whole(ask):
    scope = ast.literal_eval(ask("scope", "a=1&b=%20", PATH_INFO="/scope", SCRIPT_NAME="/caf\u00e9", REQUEST_URI="/caf%C3%A9/scope?a=1&b=%20", HTTPS="on",
                                 REMOTE_PORT="50000", SERVER_PROTOCOL="HTTP/2.0", HTTP_X_RAW=b"\xff", CONTENT_TYPE="text/plain", HTTP_ACCEPT_LANGUAGE="de").text_body)
    assert scope.pop("extensions") == {"http.response.early_hint": {}}
    assert scope == {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "2", "method": "GET", "scheme": "https", "path": "/scope",
        "root_path": "/caf\u00e9", "raw_path": b"/caf%C3%A9/scope", "query_string": b"a=1&b=%20", "client": ("192.0.2.7", 50000), "server": ("localhost", 8080),
        "state": {"started": "yes"},
        "headers": [(b"host", b"localhost:8080"), (b"x-raw", b"\xff"), (b"content-type", b"text/plain"), (b"accept-language", b"de")]}


@pytest.mark.parametrize("protocol, version", [("HTTP/1.0", "1.0"), ("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("HTTP/3", "3")])
def test_versions(ask, protocol, version):
    assert ast.literal_eval(ask("scope", SERVER_PROTOCOL=protocol).text_body)["http_version"] == version


def test_a_client_without_an_address(ask):
    """Of a Unix socket."""
    assert ast.literal_eval(ask("scope", REMOTE_ADDR=None).text_body)["client"] is None


def test_each_scope_is_its_own(ask):
    for _ in range(2):
        assert ast.literal_eval(ask("state").text_body) == ("yes", True, ask.worker.pid)
    assert "mine" not in ast.literal_eval(ask("scope").text_body)["state"]


@pytest.mark.parametrize("first", [None, 0, 5])
def test_a_body_comes_in_events(ask, first):
    body = bytes(range(256)) * 2000
    assert ask("echo", body=body, first=first).body == body


def test_no_body_is_one_empty_event_and_the_end_a_disconnect(ask):
    assert ast.literal_eval(ask("events").text_body) == [{"type": "http.request", "body": b"", "more_body": False}]
    assert told(ask) == [[{"type": "http.disconnect"}, {"type": "http.disconnect"}]]


def test_what_nobody_reads_is_not_asked_for(ask):
    channel = ask.begin("one", method="POST", length=1000000, whole=False)
    answer = channel.answer()
    assert answer.body == b"hello" and answer.wants == []


def test_a_body_of_unknown_length(ask):
    channel = ask.begin("echo", "", "POST", b"begin ", length=UNKNOWN_LENGTH, whole=False)
    channel.answer(until=lambda answer: answer.wants)
    channel.send(BODY, b"middle ")
    channel.send(BODY, b"", LAST)
    assert channel.answer().body == b"middle "


def test_early_hints(ask):
    answer = ask("hint")
    assert answer.interims == ["Status: 103\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n"] and answer.body == b"hello"


def test_a_whole_response_does_not_wait_for_the_application(ask):
    told(ask)
    channel = ask.begin("early")
    first = channel.answer(until=lambda answer: answer.ended)
    assert (first.body, first.flags) == (b"hello", 0)
    assert channel.receive()[0] == IDLE
    assert told(ask) == ["went on"]


# ---- many at once ----

def test_many_requests_at_once(ask):
    several = Several(ask)
    waiting = [several.begin("waits", str(number)) for number in range(50)]
    assert several.idle(several.begin("one"))[0].body == b"hello"  # while fifty wait
    opener = several.begin("opens")
    assert [answer.text_body for answer in several.idle(*waiting, opener)][:-1] == [str(number) for number in range(50)]


def test_a_reader_that_is_slow_stops_its_own_sender_alone(ask):
    told(ask)
    several = Several(ask)
    slow = several.begin("large", flags=WINDOWED)
    several.until(lambda: len(several.answers[slow].body) == 256 * 1024)
    assert several.idle(several.begin("one"))[0].body == b"hello"
    teller = several.begin("tell")
    assert len(ast.literal_eval(several.idle(teller)[0].text_body)) == 2  # 300 KB were given, the third waits
    while not several.answers[slow].idle:
        several.channel.send(WINDOW, struct.pack("=I", 300000), stream=slow)
        before = len(several.answers[slow].body)
        several.until(lambda: several.answers[slow].idle or len(several.answers[slow].body) > before)
    assert several.answers[slow].body == b"x" * 1000000 and several.answers[slow].flags == IS_IDLE


# ---- ends ----

def test_a_sender_whose_client_has_left_gets_an_oserror(ask):
    told(ask)
    channel = ask.begin("stream")
    channel.answer(until=lambda answer: len(answer.outputs) > 2)
    channel.send(ABORT)
    rest = channel.answer()
    assert rest.idle and rest.logs == []
    assert told(ask) == ["ClientLeft"]


@pytest.mark.parametrize("kind", [ABORT, BODY_BROKEN])
def test_a_listener_is_told_that_its_client_has_left(ask, kind):
    told(ask)
    channel = ask.begin("waits_for_disconnect", flags=0)
    channel.answer(until=lambda answer: answer.body == b"begun")
    channel.send(kind)
    assert channel.answer().logs == []
    assert told(ask) == [{"type": "http.disconnect"}]


def test_a_receive_that_was_given_up_loses_nothing(ask):
    channel = ask.begin("cancels_receive", method="POST", length=5, whole=False)
    channel.answer(until=lambda answer: answer.wants)
    time.sleep(0.05)  # longer than the application waits
    channel.send(BODY, b"whole", LAST)
    assert ast.literal_eval(channel.answer().text_body) == {"type": "http.request", "body": b"whole", "more_body": False}


def test_the_time_limit_cancels(ask):
    told(ask)
    several = Several(ask)
    slow, later = several.begin("sleeps", time_limit=0.1), several.begin("sleeps_later", time_limit=0.2)
    answers = several.idle(slow, later, several.begin("one", time_limit=0.1))
    assert [answer.flags for answer in answers] == [IS_IDLE | FAILED | TIMED_OUT, IS_IDLE | BROKEN | TIMED_OUT, IS_IDLE]
    assert answers[0].text == "the request took longer than the program's time limit"
    assert any("asyncio.sleep(60)" in line for _, line in answers[0].logs)
    assert told(ask) == ["cleaned up"]


FAULTS = {  # path: (what the error says, what was sent before)
    "raises": ("ValueError: boom (raises() in ", None),
    "raises_later": ("ValueError: later", b"begun"),
    "raises_after_start": ("ValueError: in time", None),
    "exits": ("SystemExit: 3", None),
    "nothing": ("returned without a response", None),
    "half": ("returned before its response was whole", b"begun"),
    "body_first": ("a body before http.response.start", None),
    "twice": ("has started before", None),
    "text": ("the body must be bytes, not str", None),
    "unknown": ("an event of type 'websocket.accept' has no place", None),
    "untyped": ('the event has no "type"', None),
    "not_a_dict": ("send() takes a dict, not str", None),
    "too_much": ("more bytes than the response's Content-Length", None),
    "too_little": ("fewer bytes than the response's Content-Length", None),
    "bad_status": ("the status must be an int from 200 to 999, not '200'", None),
    "bad_header": ("cannot be a header", None),
    "text_header": ("each header must be a pair of bytes", None),
    "no_such_path": ("KeyError: 'no_such_path'", None),
}


@pytest.mark.parametrize("path", FAULTS)
def test_a_fault_is_told_and_costs_its_request_alone(ask, path):
    answer = ask(path)
    text, body = FAULTS[path]
    assert text in answer.text and text.split(" (")[0] in "\n".join(line for _, line in answer.logs)
    assert answer.flags == IS_IDLE | (FAILED if body is None else BROKEN)
    assert answer.body == (body or b"") and (answer.head is None) == (body is None)
    assert ask("one").body == b"hello"


@pytest.mark.parametrize("path, text", [("raises_at_the_end", "ValueError: after all"), ("after_the_end", "the response is whole already")])
def test_a_fault_after_the_response_is_in_the_log_alone(ask, path, text):
    answer = ask(path)
    assert answer.body == b"hello" and not answer.flags & (BROKEN | FAILED)
    assert text in answer.logs[-1][1]


def test_a_child_that_comes_back_answers_nothing(ask):
    answer = ask("forks")
    assert (answer.body, answer.flags) == (b"parent", IS_IDLE)
    assert ask("one").body == b"hello"
    assert "lifespan ends" not in ask.zygote.printed()


# ---- lifespan ----

def test_the_lifespan_is_the_workers(python):
    zygote = python("asgi=asgi_cases:application", f"root={PROGRAMS}")
    assert "lifespan" not in zygote.printed()
    worker = zygote.fork()
    assert worker.call(variables("/one")).body == b"hello"
    assert "lifespan begins\n" in zygote.printed()
    worker.close()
    assert worker.wait() == 0
    assert zygote.printed().endswith("lifespan begins\nlifespan ends\n")


def test_requests_that_are_under_way_end_before_the_worker(python):
    zygote = python("asgi=asgi_cases:application", f"root={PROGRAMS}")
    worker = zygote.fork()
    worker.channel.begin(variables("/waits_for_disconnect"))
    worker.channel.answer(until=lambda answer: answer.body)
    worker.close()
    assert worker.wait() == 0
    assert "Traceback" not in zygote.printed()


LIFESPANS = {
    "refuses": ("await receive(); await send({'type': 'lifespan.startup.failed', 'message': 'no database'})", 70, "refused to start: no database"),
    "unknown": ("raise ValueError('what is a lifespan?')", 0, ""),
    "fails_later": ("await receive(); await send({'type': 'lifespan.startup.complete'}); await receive(); raise ValueError('at the end')", 0, "at the end"),
    "returns": ("return", 0, ""),
}


@pytest.mark.parametrize("name", LIFESPANS)
def test_lifespans_of_all_kinds(python, tmp_path, name):
    code, status, text = LIFESPANS[name]
    (tmp_path / "app.py").write_text(textwrap.dedent("""
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                CODE
                return
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"served"})
    """).replace("CODE", code))
    zygote = python("asgi=app", f"root={tmp_path}")
    worker = zygote.fork()
    if not status:
        assert worker.call(variables("/")).body == b"served"
        worker.close()
    assert worker.wait() == status
    assert text in zygote.printed()
    assert ("Traceback" in zygote.printed()) == (name == "fails_later")


def test_an_application_that_must_have_a_lifespan(python, tmp_path):
    (tmp_path / "app.py").write_text("async def app(scope, receive, send):\n    raise ValueError('no database')\n")
    zygote = python("asgi=app", f"root={tmp_path}", "lifespan=on")
    assert zygote.fork().wait() == 70
    assert "ValueError: no database" in zygote.printed() and "The application failed in its lifespan:" in zygote.printed()


def test_an_application_without_a_lifespan(python):
    zygote = python("asgi=asgi_cases:application", f"root={PROGRAMS}", "lifespan=off")
    worker = zygote.fork()
    assert worker.call(variables("/one")).body == b"hello"
    worker.close()
    assert worker.wait() == 0 and "lifespan" not in zygote.printed()


def test_a_lifespan_that_is_none(python):
    zygote = python("asgi=asgi_cases:application", f"root={PROGRAMS}", "lifespan=maybe", start=False)
    assert zygote.wait() == 70 and "lifespan=maybe is not known; it is auto, on or off." in zygote.printed()


# ---- frameworks ----

FASTAPI = """
    import fastapi, starlette.responses, asyncio
    app = fastapi.FastAPI()
    @app.middleware("http")
    async def middleware(request, call_next):
        response = await call_next(request)
        response.headers["X-Middleware"] = "1"
        return response
    @app.get("/hello/{name}")
    async def hello(name: str, q: str = ""):
        return {"hello": name, "q": q}
    @app.get("/thread")
    def thread():
        return "thread"
    @app.post("/form")
    async def form(a: str = fastapi.Form(), f: fastapi.UploadFile = fastapi.File()):
        return {"a": a, "file": (await f.read()).decode()}
    @app.get("/stream")
    async def stream():
        async def pieces():
            for i in range(5):
                yield str(i)
                await asyncio.sleep(0)
        return starlette.responses.StreamingResponse(pieces())
    @app.get("/boom")
    async def boom():
        raise ValueError("boom")
"""


@pytest.fixture(scope="module")
def fastapi(tmp_path_factory):
    if subprocess.run(["/usr/bin/python3", "-c", "import fastapi, multipart"], capture_output=True).returncode:
        pytest.skip("/usr/bin/python3 has no fastapi")
    folder = tmp_path_factory.mktemp("fastapi")
    (folder / "main.py").write_text(textwrap.dedent(FASTAPI))
    zygote = start("asgi=main:app", f"root={folder}")
    yield zygote.fork()
    zygote.close()


def test_fastapi(fastapi):
    from test_frameworks import BOUNDARY, FORM
    answer = fastapi.call(variables("/hello/you", "q=1"))
    assert (answer.status, answer.text_body, answer.header("X-Middleware")) == (200, '{"hello":"you","q":"1"}', "1")
    assert fastapi.call(variables("/thread")).text_body == '"thread"'
    assert fastapi.call(variables("/stream")).text_body == "01234"
    answer = fastapi.call(variables("/form", method="POST", CONTENT_TYPE=f"multipart/form-data; boundary={BOUNDARY}", CONTENT_LENGTH=str(len(FORM))), FORM, first=40)
    assert answer.text_body == '{"a":"value","file":"content"}'
    answer = fastapi.call(variables("/boom"))
    assert answer.status == 500 and any("ValueError: boom" in line for _, line in answer.logs)


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed")
def test_many_requests_do_not_grow(ask):
    def pages():
        for _ in range(500):
            ask("one")
            ask("echo", body=b"x" * 100, first=0)
        with open(f"/proc/{ask.worker.pid}/statm") as statm:
            return int(statm.read().split()[1])
    pages()
    before = pages()
    assert pages() - before < 128  # pages of 4 KiB
