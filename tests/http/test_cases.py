"""Every row of cases.jsonl over a socket: the bytes whole, and byte by byte, with the same outcome.

A row:
  id, group, name   "25.3": case 25, third payload
  bytes             a string of bytes U+0000..U+00FF, or a list of such strings and {"repeat": text, "times": n}
  responses         for each response in order, the statuses it may have. One of 400 and more that closes the connection may be the last.
  close             true: the connection ends after the last response; false: it goes on, and the next request on it is answered
  methods           of the requests, where the reader must know them (HEAD)
  body, bodies      text that must be in the last (each) body; body_if_200 only when the last status is 200; not_body must not be there
  echo, not_echo    variables that the echo program got (when it answered); text that must be nowhere in them
  headers, absent   patterns that fields of the last response match; fields that no response has
  interim           how many 1xx come before the last response
  half_close        the client ends its side after the bytes; may_be_silent: the server may end the connection without a response
  modes, slow       which ways of sending; the answer comes only after a timeout of the server
"""
import json
import pathlib
import re

import pytest

from harness.programs import ECHO_C
from harness.wire import Closed, Truncated

ROWS = [json.loads(line) for line in (pathlib.Path(__file__).parent / "cases.jsonl").read_text().splitlines()]
CONFIG = """
[server.timeouts]
head = "2s"
body = "2s"
[server.limits]
body = "1MB"
[[route]]
host = "a.example"
path = "/who"
files = "site-a"
[[route]]
host = "b.example"
path = "/who"
files = "site-b"
[[route]]
path = "/cgi-bin/*"
run = "scripts"
[[route]]
path = "/echo"
run = "echo"
[[route]]
path = "/redirect/*"
redirect = { to = "/a/{rest}", status = 302 }
[[route]]
path = "/*"
files = "www"
[program.scripts]
model = "cgi"
root = "cgi-bin"
[program.echo]
model = "cgi"
script = "cgi-bin/echo"
"""


def payload(row):
    parts = row["bytes"] if isinstance(row["bytes"], list) else [row["bytes"]]
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts).encode("latin-1")


@pytest.fixture(scope="module")
def site(module_folder, module_serve):
    folder = module_folder
    folder.write("www/index.html", "<p>front page</p>\n")
    folder.write("www/a/b", "file b\n")
    folder.write("www/range.bin", bytes(range(256)) * 16)
    folder.write("www/folder/index.html", "in a folder\n")
    folder.write("site-a/who", "site a\n")
    folder.write("site-b/who", "site b\n")
    folder.c("cgi-bin/echo", ECHO_C)
    folder.shell("cgi-bin/stream", r"printf 'Content-Type: text/plain\n\n'; echo a; echo b")
    folder.shell("cgi-bin/no-content", r"printf 'Status: 204\nContent-Type: text/plain\nContent-Length: 5\n\nhello'")
    folder.shell("cgi-bin/not-modified", r"""printf 'Status: 304\nETag: "x"\nContent-Length: 5\n\nhello'""")
    return module_serve(CONFIG)


@pytest.mark.parametrize("mode", ["whole", "bytewise"])
@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}-{re.sub('[^A-Za-z0-9]+', '-', row['name'])[:50]}" for row in ROWS])
def test_case(site, row, mode):
    if mode not in row.get("modes", ["whole", "bytewise"]):
        pytest.skip("the row is for another way of sending")
    data = payload(row)
    with site.connect() as connection:
        if mode == "whole":
            connection.send(data)
        else:
            connection.send_bytewise(data)
        if row.get("half_close"):
            connection.half_close()
        responses = []
        methods = row.get("methods", [])
        for index, statuses in enumerate(row["responses"]):
            try:
                response = connection.read_response(methods[index] if index < len(methods) else "GET")
            except (Closed, Truncated) as end:
                if row.get("may_be_silent") and not getattr(end, "response", None):
                    return
                raise
            responses.append(response)
            assert response.status in statuses, response
        check_content(row, responses)
        last = responses[-1]
        close = row.get("close")
        if close is False:
            follow = connection.exchange("GET", "/a/b")
            assert follow.status == 200 and follow.body == b"file b\n", f"after {last}: {follow}"
        elif close is True:
            if b"HTTP/1.0" not in data:
                assert last["connection"].lower() == "close", last
            assert connection.wait_end(5) == "closed"
        else:
            # What is left of a refused request must not be taken for another one.
            connection.half_close()
            assert (rest := drain(connection)) == [], f"more responses than requests: {rest}"


def drain(connection):
    more = []
    while True:
        try:
            more.append(connection.read_response())
        except (Closed, Truncated) as end:
            assert not getattr(end, "response", None), end
            return more


def check_content(row, responses):
    last = responses[-1]
    for text, response in zip(row.get("bodies", []), responses):
        assert text in response.text
    if "body" in row:
        assert row["body"] in last.text, last
    if last.status == 200 and "body_if_200" in row:
        assert row["body_if_200"] in last.text, last
    if "not_body" in row:
        assert row["not_body"] not in last.text, last
    if "max_body" in row:
        assert len(last.body) <= row["max_body"], f"{len(last.body)} bytes for one small file"
    for name, pattern in row.get("headers", {}).items():
        assert re.search(pattern, last[name]), last
    for name in row.get("absent", []):
        assert all(name not in response for response in responses), responses
    if "interim" in row:
        assert len(last.interim) == row["interim"], last.interim
    if last.status == 200 and ("echo" in row or "not_echo" in row):
        environment = last.json["environment"]
        for name, value in row.get("echo", {}).items():
            assert environment.get(name) == value, environment
        if "not_echo" in row:
            assert not [name for name, value in environment.items() if row["not_echo"] in value], environment
