"""What a WSGI application answers with, and what becomes of it (PEP 3333)."""
import gzip
import time

import pytest

from driver import ABORT, BROKEN, FAILED, HEAD_ONLY, IS_IDLE, TIMED_OUT

CASES = {  # path: (status, body, Content-Length)
    "one": (200, b"hello", "5"),
    "several": (200, b"hello", "5"),
    "a_tuple": (200, b"hello", "5"),
    "empty": (200, b"", "0"),
    "own_length": (200, b"hello", "5"),
    "large": (200, b"x" * 1000000 + b"y", "1000001"),
    "generator": (200, b"onetwo", None),
    "late_start": (202, b"late", None),
    "no_blocks": (200, b"", None),
    "written": (200, b"written returned", None),
    "exact": (200, b"hello", "5"),
    "replaced": (500, b"other", "5"),
    "replaced_by_name": (501, b"", "0"),
    "no_content": (204, b"", None),
    "not_modified": (304, b"", None),
}


@pytest.mark.parametrize("path", CASES)
def test_what_was_given_is_sent(ask, path):
    answer = ask(path)
    assert (answer.status, answer.body, answer.header("Content-Length")) == CASES[path]
    assert answer.flags == IS_IDLE and answer.logs == [] or path == "exact" and answer.idle


@pytest.mark.parametrize("path", ["one", "several", "own_length", "generator", "exact", "written", "large"])
def test_head_has_the_head_alone(ask, path):
    answer = ask(path, method="HEAD", flags=HEAD_ONLY)
    assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", CASES[path][2])
    assert not answer.flags & (BROKEN | FAILED)


def test_of_an_empty_answer_to_head_no_length_is_told(ask):
    assert ask("empty", method="HEAD", flags=HEAD_ONLY).header("Content-Length") is None


def test_headers_go_out_as_they_are(ask):
    answer = ask("headers")
    assert answer.head == ("Status: 299 \u00fcblich\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: caf\u00e9\r\nX-Empty: \r\n"
                           "Content-Length: 1\r\n")


def test_a_replaced_head_leaves_nothing(ask):
    answer = ask("replaced")
    assert (answer.header("X-First"), answer.header("X-Second")) == (None, "2")


def test_each_block_leaves_before_the_next_is_asked_for(ask):
    assert ask("generator").outputs == [b"one", b"two"]
    assert ask("written").outputs == [b"written ", b"returned"]


def test_a_short_response_leaves_in_one_piece(ask):
    channel = ask.begin("one")
    channel.receive()
    assert channel.answer().ended  # all of it was there
    assert channel.buffer == b""


def test_a_complete_body_does_not_wait_for_close(ask):
    ask("was_closed")
    channel = ask.begin("exact")
    first = channel.answer(until=lambda answer: answer.ended)
    assert (first.body, first.flags) == (b"hello", 0)
    assert channel.receive()[0] == 20  # idle, after close()
    assert ask("was_closed").body == b"['exact']"


def test_code_after_the_last_block_runs(ask):
    assert ask("after_last").body == b"hello"
    assert ask("was_closed").body == b"['went on']"


FAULTS = {  # path: (what the error says, what was sent before)
    "never_started": ("has not called start_response", None),
    "never_started_empty": ("has not called start_response", None),
    "started_twice": ("start_response was called before; a second call needs exc_info", None),
    "returns_text": ("returned a str; return a list of bytes", None),
    "returns_bytes": ("returned bytes; return a list of them", None),
    "text_block": ("has a str where bytes belong; encode it", None),
    "text_block_later": ("has a str where bytes belong; encode it", b"begun"),
    "returns_none": ("returned a NoneType; it must return an iterable of bytes", None),
    "writes_text": ("write() takes bytes, not str", None),
    "raises": ("ValueError: no such (raises() in ", None),
    "raises_later": ("ValueError: later", b"begun"),
    "raises_before_bytes": ("ValueError: in time", None),
    "exits": ("SystemExit: 3", None),
    "interrupts": ("KeyboardInterrupt", None),
    "too_late": ("ValueError: the first error", b"begun"),
    "raises_and_closes": ("ValueError: while iterating", None),
    "nothing_here": ("KeyError: 'nothing_here'", None),
}


@pytest.mark.parametrize("path", FAULTS)
def test_a_fault_is_told_and_costs_its_request_alone(ask, path):
    answer = ask(path)
    text, body = FAULTS[path]
    assert text in answer.text
    if body is None:
        assert answer.head is None and answer.flags & FAILED and not answer.flags & BROKEN
    else:
        assert answer.body == body
    assert "Traceback" in "\n".join(line for _, line in answer.logs) or "Error" in answer.logs[0][1]
    assert ask("one").body == b"hello"


def test_a_fault_after_the_head_breaks_the_response(ask):
    assert ask("raises_later").flags == IS_IDLE | BROKEN


@pytest.mark.parametrize("path", ["too_short", "too_short_generator"])
def test_a_body_shorter_than_it_says_is_broken(ask, path):
    answer = ask(path)
    assert answer.body == b"hello" and answer.flags == IS_IDLE | BROKEN
    assert answer.text == "the application's body is 5 bytes shorter than its Content-Length"
    assert answer.logs == [(3, answer.text)]


@pytest.mark.parametrize("path", ["too_long", "too_long_generator"])
def test_a_body_longer_than_it_says_is_cut_and_told(ask, path):
    answer = ask(path)
    assert answer.body == b"hello" and not answer.flags & BROKEN
    assert "longer than its Content-Length" in answer.logs[0][1]


def test_writing_more_than_it_says_is_an_error(ask):
    answer = ask("too_long_written")
    assert answer.body == b"hello" and not answer.flags & BROKEN
    assert answer.logs[-1][1] == "ValueError: write(): more bytes than the response's Content-Length says"


@pytest.mark.parametrize("path, closed", [("raises_and_closes", "raised"), ("too_long_generator", "too long"), ("exact", "exact")])
def test_close_is_called_however_it_ends(ask, path, closed):
    ask("was_closed")
    ask(path)
    assert ask("was_closed").body == repr([closed]).encode()


def test_a_close_that_fails_does_no_harm_to_the_response(ask):
    answer = ask("bad_close")
    assert (answer.body, answer.flags) == (b"x", IS_IDLE)
    assert answer.logs[0][1] == "close() of the response failed:" and answer.logs[-1][1] == "ZeroDivisionError: division by zero"


HEADS = {  # status|name|value: what the error says; None: it is accepted
    "200 OK||": None,
    "200||": None,
    "200 ||": None,
    "404 Not Found|X-A|b": None,
    "20 OK||": "three digits",
    "2000 OK||": "three digits",
    "abc||": "three digits",
    "||": "three digits",
    "100 Continue||": "informational",
    "bytes||": "the status must be a str",
    "newline||": "cannot be sent",
    "wide||": "cannot be sent",
    "200 OK|a b|c": "is no name of a header",
    "200 OK|newline|c": "is no name of a header",
    "200 OK|wide|c": "is no name of a header",
    "200 OK|a:|c": "is no name of a header",
    "200 OK|bytes|c": "the name of a header must be a str",
    "200 OK|A|int": "must be a str, not int",
    "200 OK|A|None": "must be a str, not NoneType",
    "200 OK|A|newline": "cannot be sent",
    "200 OK|A|nul": "cannot be sent",
    "200 OK|A|wide": "cannot be sent",
    "200 OK|Status|200": "the status is the first argument",
    "200 OK|Content-Length|-1": "must be one number",
    "200 OK|Content-Length|1x": "must be one number",
    "200 OK|Content-Length|99999999999999999999": "must be one number",
    **{f"200 OK|{name}|x": "belongs to the server's connection" for name in (
        "Connection", "keep-alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers", "Transfer-Encoding", "UPGRADE")},
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_are_checked_where_they_are_given(ask, head):
    answer = ask("head_of", head)
    if HEADS[head] is None:
        assert answer.flags == IS_IDLE and answer.status == int(head[:3])
    else:
        assert answer.flags == IS_IDLE | FAILED and answer.head is None
        assert HEADS[head] in answer.text and "head_of()" in answer.text


@pytest.mark.parametrize("kind, text", [("tuple", "the headers must be a list"), ("lists", "each header must be a (name, value) tuple"),
                                        ("triple", "each header must be a (name, value) tuple"), ("lengths", "must be one number")])
def test_types_of_heads_are_checked(ask, kind, text):
    assert text in ask("head_types", kind).text


# ---- the client leaves ----

def test_a_stream_ends_when_its_client_has_left(ask):
    ask("was_closed")
    channel = ask.begin("stream")
    channel.answer(until=lambda answer: len(answer.outputs) > 2)
    channel.send(ABORT)
    rest = channel.answer()
    assert rest.idle and rest.logs == []
    assert ask("was_closed").body == b"['stream']"


# ---- files ----

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    content = bytes(range(256)) * 4000
    (folder / "file").write_bytes(content)
    (folder / "file.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.mark.parametrize("kind", ["plain", "raw", "memory", "gzip"])
@pytest.mark.parametrize("offset, length", [("", ""), ("1000", ""), ("1000", "50000"), ("", "0"), ("", str(256 * 4000))])
def test_files_are_sent_from_where_they_are(ask, folder, kind, offset, length):
    answer = ask("file", f"{kind}|{offset}|{length}", X_FOLDER=str(folder))
    start = int(offset or 0)
    assert answer.body == (folder / "file").read_bytes()[start:start + int(length) if length else None]
    assert not answer.flags & BROKEN and answer.logs == []
    assert ask("file_closed").body == b"True"


def test_a_file_shorter_than_its_length_is_broken(ask, folder):
    answer = ask("file", "plain|1000|9999999", X_FOLDER=str(folder))
    assert answer.flags & BROKEN and "shorter than its Content-Length" in answer.text


# ---- time limit ----

def took_too_long(ask, path):
    start = time.monotonic()
    answer = ask(path, time_limit=0.1)
    assert time.monotonic() - start < 8
    assert answer.flags == IS_IDLE | FAILED | TIMED_OUT
    assert "took longer than the program's time limit" in answer.text
    assert any("TimeLimitExceeded" in line for _, line in answer.logs)
    assert ask("one", time_limit=0.1).body == b"hello"


@pytest.mark.parametrize("path", ["loops", "naps", "catches_exceptions", "swallows_once"])
def test_what_takes_too_long_gets_an_exception(ask, path):
    took_too_long(ask, path)


@pytest.mark.parametrize("path", ["sleeps", "locks", "reads_a_pipe", "backtracks"])
def test_waits_end_with_the_time_limit(alone, path):
    """In the main thread; others hear of it when they are back in Python's code."""
    took_too_long(alone, path)


def test_a_wait_for_a_body_ends_with_the_time_limit(ask):
    channel = ask.begin("waits_for_body", method="POST", length=10, whole=False, time_limit=0.1)
    answer = channel.answer()
    assert answer.flags == IS_IDLE | FAILED | TIMED_OUT
    assert ask("one").body == b"hello"


def test_the_time_limit_breaks_a_response_that_has_begun(ask):
    answer = ask("streams_and_naps", time_limit=0.1)
    assert (answer.body, answer.flags) == (b"begun", IS_IDLE | BROKEN | TIMED_OUT)


def test_requests_in_time_are_left_alone(ask):
    for _ in range(50):
        assert ask("one", time_limit=0.02).flags == IS_IDLE
