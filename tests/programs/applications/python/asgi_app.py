"""ASGI without a framework."""
import asyncio
import hashlib
import json
import os
from urllib.parse import parse_qs


async def application(scope, receive, send):
    await {"lifespan": lifespan, "http": http, "websocket": websocket}[scope["type"]](scope, receive, send)


async def lifespan(scope, receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def http(scope, receive, send):
    query = parse_qs(scope["query_string"].decode())
    path = scope["path"]
    headers = dict(scope["headers"])

    async def start(fields=(), kind=b"text/plain", status=200):
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *fields]})

    async def body(data, more=False):
        await send({"type": "http.response.body", "body": data if isinstance(data, bytes) else data.encode(), "more_body": more})

    async def pieces():
        while True:
            event = await receive()
            yield event.get("body", b"")
            if not event.get("more_body"):
                return

    if path == "/hello":
        await start()
        await body("hello " + query["name"][0])
    elif path == "/form":
        form = parse_qs(b"".join([piece async for piece in pieces()]).decode())
        await start()
        await body("form " + form["name"][0])
    elif path == "/upload":
        digest = hashlib.sha256()
        async for piece in pieces():
            digest.update(piece)
        await start()
        await body(digest.hexdigest())
    elif path.startswith("/download/"):
        await start(kind=b"application/octet-stream")
        for begin in range(0, size := int(path.rpartition("/")[2]), 65536):
            await body(b"x" * min(65536, size - begin), True)
        await body(b"")
    elif path == "/cookies":
        await start([(b"set-cookie", b"one=1"), (b"set-cookie", b"two=2")])
        await body(headers.get(b"cookie", b""))
    elif path == "/events":
        await start(kind=b"text/event-stream")
        await body("data: first\n\n", True)
        while not os.path.exists(query["until"][0]):
            await asyncio.sleep(0.01)
        await body("data: last\n\n")
    elif path == "/who":
        await start(kind=b"application/json")
        url = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        await body(json.dumps({"host": headers[b"host"].decode(), "url": url}))
    elif path == "/fail":
        raise RuntimeError("on purpose")
    else:
        await start(status=404)
        await body("nothing here")


async def websocket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") is not None:
            await send({"type": "websocket.send", "text": "echo " + event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
