"""What a WSGI application is told of a request: environ, wsgi.input, wsgi.errors (PEP 3333)."""
import ast

import pytest

from driver import ABORT, BODY, BODY_BROKEN, FAILED, IS_IDLE, LAST, UNKNOWN_LENGTH
from python_worker import variables


def environ_of(ask, **more):
    return ast.literal_eval(ask("environ", **more).text_body)["environ"]


def test_the_environ_is_whole(ask):
    said = ast.literal_eval(ask("environ", "a=1").text_body)
    assert said["type"] == "dict"
    assert said["environ"] == variables("/environ", "a=1") | {
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": "Input", "wsgi.errors": "Errors", "wsgi.multithread": ask.threads > 1,
        "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.input_terminated": True, "wsgi.file_wrapper": "type"}


def test_the_application_is_loaded_once_in_the_zygote(ask):
    said = ast.literal_eval(ask("environ").text_body)
    assert (said["imported_by"], said["pid"]) == (ask.zygote.pid, ask.worker.pid)


def test_values_are_bytes_as_latin_1(ask):
    environ = environ_of(ask, HTTP_X_NAME="caf\u00e9".encode(), HTTP_X_RAW=b"\x80\xff", HTTP_X_EMPTY="", HTTP_X_EQUALS="a=b=c")
    assert (environ["HTTP_X_NAME"], environ["HTTP_X_RAW"], environ["HTTP_X_EMPTY"], environ["HTTP_X_EQUALS"]) == ("caf\u00c3\u00a9", "\x80\xff", "", "a=b=c")


def test_nothing_of_one_request_is_in_the_next(ask):
    """Whatever the worker keeps between requests: each has its own variables and values, and no other's."""
    rounds = [
        {"HTTP_X": "1", "HTTP_COOKIE": "secret=1"}, {"HTTP_X": "1"}, {"HTTP_X": "2", "HTTP_COOKIE": "secret=2"}, {"HTTP_COOKIE": "secret=3", "HTTP_X": "2"},
        {"HTTP_X": "x" * 500}, {"HTTP_X": "x" * 499}, {"HTTP_X": ""}, {"HTTP_Y": "2"}, {}, {"HTTPS": "on"}, {"HTTPS": "off"}, {"HTTPS": "on"}, {},
        {"PATH_INFO": "/environ/"}, {"SCRIPT_NAME": "/shop"}, {"SCRIPT_NAME": None}, {"QUERY_STRING": None}]
    base = environ_of(ask)
    for _ in range(3):
        for more in rounds:
            expected = {k: v for k, v in (base | more).items() if v is not None}
            for name in ("SCRIPT_NAME", "QUERY_STRING"):
                expected.setdefault(name, "")
            expected["wsgi.url_scheme"] = "https" if more.get("HTTPS") == "on" else "http"
            assert environ_of(ask, **more) == expected


def test_more_kinds_of_requests_than_are_kept(ask):
    for number in list(range(40)) * 2:
        environ = environ_of(ask, **{f"HTTP_X_{number}": str(number)})
        assert [value for name, value in environ.items() if name.startswith("HTTP_X_")] == [str(number)]
    many = {f"HTTP_X_{number}": str(number) for number in range(200)}
    assert len([name for name in environ_of(ask, **many) if name.startswith("HTTP_X_")]) == 200


def test_an_application_may_change_its_environ(ask):
    before = environ_of(ask)
    ask("changes_environ")
    assert environ_of(ask) == before


@pytest.mark.parametrize("method, body", [("GET", b""), ("HEAD", b""), ("POST", b"a=1"), ("PUT", b"one\ntwo\n")])
def test_wsgiref_finds_no_fault(ask, method, body):
    answer = ask("valid", method=method, body=body, flags=4 if method == "HEAD" else 0)
    assert answer.flags == IS_IDLE and answer.body == (b"" if method == "HEAD" else b"valid " + body)
    assert answer.logs == [(3, "validated")]


# ---- wsgi.input ----

TEXT = b"one\ntwo two\n\nthree"
READS = {
    "i.read()": TEXT, "i.read(-1)": TEXT, "i.read(None)": TEXT, "i.read(0)": b"", "i.read(5)": TEXT[:5], "i.read(1000)": TEXT, "[i.read(), i.read()]": [TEXT, b""],
    "[i.read(4), i.readline(), i.read()]": [b"one\n", b"two two\n", b"\nthree"],
    "i.readline()": b"one\n", "i.readline(2)": b"on", "i.readline(4)": b"one\n", "i.readline(100)": b"one\n", "i.readline(0)": b"", "i.readline(-1)": b"one\n",
    "[i.readline() for _ in range(5)]": [b"one\n", b"two two\n", b"\n", b"three", b""],
    "i.readlines()": [b"one\n", b"two two\n", b"\n", b"three"], "i.readlines(1)": [b"one\n"], "i.readlines(5)": [b"one\n", b"two two\n"],
    "list(i)": [b"one\n", b"two two\n", b"\n", b"three"], "[next(i), i.read(1), *i]": [b"one\n", b"t", b"wo two\n", b"\n", b"three"],
    "[list(i), list(i)]": [[b"one\n", b"two two\n", b"\n", b"three"], []],
}


@pytest.mark.parametrize("expression", READS)
@pytest.mark.parametrize("first", [None, 0, 5])
def test_the_body_is_a_file(ask, expression, first):
    assert ast.literal_eval(ask("reads", expression, body=TEXT, first=first).text_body) == READS[expression]


@pytest.mark.parametrize("expression, result", [("i.read()", b""), ("i.readline()", b""), ("i.readlines()", []), ("list(i)", []), ("i.read(10)", b"")])
def test_no_body_is_an_empty_file(ask, expression, result):
    assert ast.literal_eval(ask("reads", expression).text_body) == result


@pytest.mark.parametrize("expression", ["i.read('1')", "i.read(1, 2)", "i.readline(1.5)", "i.read(size=1)"])
def test_arguments_are_checked(ask, expression):
    assert "TypeError" in ask("reads", expression, body=TEXT).text


def test_large_bodies_come_whole(ask):
    body = bytes(range(256)) * 20000
    assert ask("reads", "len(i.read())", body=body, first=1000).body == b"5120000"
    assert ask("reads", "sum(len(l) for l in i)", body=body, first=1000).body == b"5120000"
    assert ask("reads", "[len(i.read(300000)), len(i.readline()), len(i.read())]", body=body, first=0).body == b"[300000, 43, 4819957]"


def test_what_nobody_reads_is_not_asked_for(ask):
    channel = ask.begin("ignores_body", method="POST", length=1000000, whole=False)
    answer = channel.answer()
    assert answer.body == b"not read" and answer.wants == []


def test_a_body_of_unknown_length_ends_where_it_ends(ask):
    channel = ask.begin("reads", "i.read()", "POST", b"begin ", length=UNKNOWN_LENGTH, whole=False)
    channel.answer(until=lambda answer: answer.wants)
    channel.send(BODY, b"middle ")
    channel.send(BODY, b"end")
    channel.send(BODY, b"", LAST)
    assert channel.answer().body == b"b'begin middle end'"


def test_a_body_that_breaks_is_no_error_of_the_application(ask):
    channel = ask.begin("reads", "i.read()", "POST", b"begin", length=100, whole=False)
    channel.answer(until=lambda answer: answer.wants)
    channel.send(BODY_BROKEN)
    channel.send(ABORT)
    answer = channel.answer()
    assert answer.idle and answer.flags & FAILED and "the client has left" in answer.text
    assert answer.logs == []
    assert ask("one").body == b"hello"


def test_what_is_kept_beyond_the_request_is_over(ask):
    ask("keeps_input", body=b"of the first")
    assert "ValueError: wsgi.input: the request is over" in ask("reads_kept_input", body=b"of the second").text
    ask("keeps_start_response")
    assert ask("uses_kept_start_response").body == b"start_response: the request is over; write(): the request is over"


# ---- wsgi.errors and printing ----

def test_errors_are_lines_of_the_log(ask):
    assert ask("errors").logs == [(3, "one"), (3, "two"), (3, "three"), (3, "caf\u00e9 \\udc80"), (3, "unfinished and refused")]


def test_what_is_printed_is_there_at_once(ask):
    ask("prints")
    assert "printed, caf\u00e9\n" in ask.zygote.printed()
