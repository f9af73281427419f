# The contract program as an ASGI application. README.md in the folder above says what each path does; every edition does the same.
import asyncio
import hashlib
import json
import os
from http import HTTPStatus
from urllib.parse import parse_qsl


def pattern(size):
    at = 0
    while at < size:
        block = b"".join(b"%08x" % number for number in range(at // 8, (min(at + 65536, size) + 7) // 8))
        yield block[: size - at]
        at += 65536


def note_pid(query):
    """The process id goes to the file that the request names, whole at once."""
    if "pid" in query:
        with open(query["pid"] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(query["pid"] + ".new", query["pid"])


def environment(scope):
    """What the scope tells, by the names that the other editions have."""
    told = {"REQUEST_METHOD": scope["method"], "SCRIPT_NAME": scope["root_path"], "PATH_INFO": scope["path"],
            "QUERY_STRING": scope["query_string"].decode("latin-1"), "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
            "REQUEST_SCHEME": scope["scheme"], "REMOTE_ADDR": (scope["client"] or [""])[0]}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        told[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value.decode("latin-1")
    return told


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    path = scope["path"].strip("/").split("/")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    kind = path[0]
    told = environment(scope)
    chunked = "CONTENT_LENGTH" not in told     # its body comes as the client sends it, and its length is what has come
    announced = [("Content-Length", query["length"])] if query.get("length") else []

    async def head(*fields, status=200):
        await send({"type": "http.response.start", "status": status,
                    "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]})

    async def text(*fields, status=200):
        await head(("Content-Type", "text/plain"), *fields, status=status)

    async def say(data, more=True):
        await send({"type": "http.response.body", "body": data, "more_body": more})

    async def blocks():
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ConnectionResetError("the client has left")
            if event["body"]:
                yield event["body"]
            if not event["more_body"]:
                return

    if kind == "echo":
        await head(("Content-Type", "application/json"))
        await say(json.dumps({"environment": told, "arguments": [], "directory": os.getcwd()}).encode())
        await say(b"", more=False)     # its length differs with the method in it
    elif kind == "body":
        data = b"".join([block async for block in blocks()])
        await head(("Content-Type", "application/octet-stream"), ("Content-Length", str(len(data))), ("X-Content-Length", str(len(data)) if chunked else told["CONTENT_LENGTH"]))
        await say(data, more=False)
    elif kind == "download":
        size = int(query["bytes"])
        await head(("Content-Type", "application/octet-stream"), *([("Content-Length", str(size))] if "length" in query else []))
        for block in pattern(size):
            await say(block)
        await say(b"", more=False)
    elif kind == "upload":
        digest, size = hashlib.sha256(), 0
        async for block in blocks():
            digest.update(block)
            size += len(block)
            if "slow" in query:
                await asyncio.sleep(float(query["slow"]))
        await head(("Content-Type", "application/json"))
        await say(json.dumps({"sha256": digest.hexdigest(), "length": size, "content_length": str(size) if chunked else told["CONTENT_LENGTH"]}).encode(), more=False)
    elif kind == "duplex":
        await head(("Content-Type", "application/octet-stream"))
        async for block in blocks():
            await say(block)
        await say(b"", more=False)
    elif kind == "ignore-body":
        await text()
        await say(b"not read\n", more=False)
    elif kind == "slow":
        await text()
        for number in range(int(query["lines"])):
            await say(f"line {number}\n".encode())
            await asyncio.sleep(float(query["interval"]))
        await say(b"", more=False)
    elif kind == "status":
        await text(status=int(path[1]))
        await say(f"status {path[1]}\n".encode(), more=False)
    elif kind == "many-headers":
        await text(*[(f"X-Number-{number}", str(number)) for number in range(int(query["count"]))])
        await say(b"headers\n", more=False)
    elif kind == "cookies":
        await text(("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT"))
        await say(b"cookies\n", more=False)
    elif kind == "crash-early":
        os.kill(os.getpid(), int(query.get("signal", 11)))
        await asyncio.sleep(5)
    elif kind == "crash-late":
        await text(*announced)
        await say(b"the beginning\n")
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), 9)
    elif kind == "exit-early":
        raise RuntimeError("cannot go on")
    elif kind == "hang":
        if path[-1] == "late":
            await text()
            await say(b"the beginning\n")
        note_pid(query)
        await asyncio.sleep(60)
    elif kind == "flood-stderr":
        for number in range(int(query["lines"])):
            os.write(2, b"complaint %d %s\n" % (number, b"x" * 100))
        await text()
        await say(b"complained\n", more=False)
    elif kind in ("endless", "trickle"):
        note_pid(query)
        await text()
        while True:
            await say(b"x" * 65536 if kind == "endless" else b"tick\n")
            await asyncio.sleep(0 if kind == "endless" else 0.05)
    elif kind == "redirect":
        if path[1] == "client":
            await head(("Location", "http://elsewhere.example/x?y=z"), status=HTTPStatus.FOUND)
            await say(b"", more=False)
        else:
            await head(("Location", "http://elsewhere.example/x"), ("Content-Type", "text/plain"), status=307)
            await say(b"moved\n", more=False)
    elif kind == "no-content":
        await head(("X-A", "b"), status=204)
        await say(b"", more=False)
    elif kind == "not-modified":
        await head(("ETag", '"x"'), ("Content-Type", "text/plain"), ("Content-Length", "5"), status=304)
        await say(b"hello", more=False)
    elif kind == "length":
        await text(("Content-Length", query["says"]))
        says, sends = int(query["says"]), int(query["sends"])
        await say(b"x" * min(says, sends), more=sends > says)
        if sends > says:
            await say(b"x" * (sends - says), more=False)
    elif kind == "sleep":
        note_pid(query)
        await asyncio.sleep(float(query["seconds"]))
        await text()
        await say(f"slept {query['seconds']}\n".encode(), more=False)
    else:
        await text(status=404)
        await say(b"", more=False)
