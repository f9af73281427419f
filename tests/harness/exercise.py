"""What every application behind the server can be relied on for, in whatever language and framework it is written.

The programs under tests/programs/applications answer alike: /hello, /form, /upload, /download, /cookies, /events, /who, and some more.
"""
import hashlib
import os
import time

from .websocket import WebSocket
from .wire import chunked

CLIENT = "203.0.113.9"     # whom the trusted proxy in front of the server names


def get(site):
    response = site.get("/hello?name=a%20b%26c", timeout=30)
    assert response.status == 200 and response.text == "hello a b&c" and response["content-type"].startswith("text/"), response
    assert site.get("/hello?name=" + "n" * 3000).text == "hello " + "n" * 3000
    response = site.request("HEAD", "/hello?name=x")
    assert response.status in (200, 405, 404) and response.body == b"", "some frameworks have no HEAD for a route"
    assert site.get("/nothing/here").status == 404


def form(site):
    fields = [("Content-Type", "application/x-www-form-urlencoded")]
    response = site.request("POST", "/form", fields, b"other=1&name=Zo%C3%AB")
    assert response.status == 200 and response.body.endswith("form Zoë".encode()), response


def upload(site, chunks=True):
    content = os.urandom(6 << 20)
    fields = [("Content-Type", "application/octet-stream")]
    expected = hashlib.sha256(content).hexdigest()
    response = site.request("PUT", "/upload", fields, content, timeout=60)
    assert response.status == 200 and response.text == expected, response
    if not chunks:
        return
    with site.connect() as connection:
        connection.request("PUT", "/upload", [*fields, ("Transfer-Encoding", "chunked")])
        connection.send(chunked(*[content[at : at + 100_000] for at in range(0, len(content), 100_000)]))
        response = connection.read_response(timeout=60)
        assert response.status == 200 and response.text == expected, response


def multipart(site):
    content = os.urandom(3 << 20)
    boundary = b"boundary-0123456789"
    body = (b"--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n"
            % (boundary, content, boundary))
    response = site.request("POST", "/multipart", [("Content-Type", f"multipart/form-data; boundary={boundary.decode()}")], body, timeout=60)
    assert response.status == 200 and response.text == hashlib.sha256(content).hexdigest(), response


def download(site):
    size = (8 << 20) + 1
    seen = {"length": 0, "only": True}

    def take(piece):
        seen["length"] += len(piece)
        seen["only"] = seen["only"] and not piece.strip(b"x")

    with site.connect() as connection:
        response = connection.exchange("GET", f"/download/{size}", timeout=60, into=take)
        assert response.status == 200 and seen == {"length": size, "only": True}, (response, seen)
        # The connection is as good as new.
        assert connection.exchange("GET", "/hello?name=again").text == "hello again"


def cookies(site):
    response = site.get("/cookies", [("Cookie", "a=b; c=d")])
    assert response.status == 200 and response.text == "a=b; c=d", response
    assert {"one=1", "two=2"} <= {value.split(";")[0] for value in response.all("set-cookie")}, response


def sessions(site):
    first = site.get("/count")
    assert first.text == "seen 1", first
    cookie = first["set-cookie"].split(";")[0]
    second = site.get("/count", [("Cookie", cookie)])
    assert second.text == "seen 2", second
    assert site.get("/count").text == "seen 1"


def events(site, folder):
    """The first event is there while the program still waits for the sign to go on."""
    sign = folder / "go-on-1"
    with site.connect() as connection:
        connection.request("GET", f"/events?until={sign}")
        response = connection.read_head(timeout=20)
        assert response.status == 200 and response["content-type"].startswith("text/event-stream"), response
        stop = time.monotonic() + 20
        while b"data: first\n\n" not in connection.buffer:
            assert connection.fill(stop), bytes(connection.buffer)
        assert b"data: last" not in connection.buffer
        folder.write(sign.name, b"")
        assert connection.read_body(response, timeout=20).text == "data: first\n\ndata: last\n\n"


def leaving(site, folder):
    """A client that leaves in the middle of a stream costs nobody else anything."""
    sign = folder / "go-on-2"
    with site.connect() as connection:
        connection.request("GET", f"/events?until={sign}")
        connection.read_head(timeout=20)
        connection.reset()
    assert site.get("/hello?name=next", timeout=20).text == "hello next"
    folder.write(sign.name, b"")
    assert site.get("/hello?name=next", timeout=20).text == "hello next"


def who(site, ip=True):
    """What the server vouches for reaches the framework; what a stranger claims would not."""
    seen = site.get("/who?x=%2F&y", [("Host", "example.org"), ("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")]).json
    assert seen.get("host", "").split(":")[0] == "example.org" and seen["url"] == "/who?x=%2F&y", seen
    if "protocol" in seen:
        assert seen["protocol"] == "https", seen
    for name in ("ip", "address"):
        if name in seen and ip:
            assert seen[name] == CLIENT, seen


def failure(site):
    response = site.get("/fail")
    assert response.status == 500, response
    assert site.get("/hello?name=after").text == "hello after"


def websocket(site, target="/ws"):
    with WebSocket(site.address, target, timeout=20) as socket:
        for text in ("hello", "", "ü" * 1000):
            socket.send(text)
            assert socket.receive() == "echo " + text
        large = os.urandom(200_000)
        socket.send(large)
        assert socket.receive() == large
        socket.ping()
        assert socket.close() == 1000


def everything(site, folder, chunks=True, streams=True, ip=True):
    get(site)
    form(site)
    upload(site, chunks)
    download(site)
    cookies(site)
    if streams:
        events(site, folder)
        leaving(site, folder)
    who(site, ip)
    failure(site)
