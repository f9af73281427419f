"""The ASGI application of test_asgi_requests.py and test_asgi_websockets.py: what it does is named by the path. What it notes goes to the file NOTES."""
import asyncio
import json
import os

started = []


def note(line):
    with open(os.environ["NOTES"], "a") as file:
        file.write(line + "\n")


async def lifespan(scope, receive, send):
    while True:
        event = await receive()
        note(event["type"])
        if event["type"] == "lifespan.startup":
            started.append(os.getpid())
            scope["state"]["pool"] = "of the lifespan"
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def http(scope, receive, send):
    kind, _, word = scope["path"].strip("/").partition("/")

    async def start(status=200, *headers):
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain"), *headers]})

    async def body(data, more=False):
        await send({"type": "http.response.body", "body": data, "more_body": more})

    if kind == "hello":
        await start()
        await body(b"hello")
    elif kind == "pid":
        await start()
        await body(str(os.getpid()).encode())
    elif kind == "echo":
        await start()
        more = True
        while more:
            event = await receive()
            more = event["more_body"]
            await body(event["body"], True)
        await body(b"")
    elif kind == "sleep":
        await asyncio.sleep(float(word))
        await start()
        await body(b"slept")
    elif kind == "stream":      # until somebody leaves
        await start()
        try:
            while True:
                await body(b"x" * 65536, True)
        except OSError:
            note("stream ended")
    elif kind == "large":
        await start()
        await body(b"y" * int(word))
    elif kind == "begun":
        await start()
        await body(b"begun", True)
        await asyncio.sleep(60)
    elif kind == "wait":
        note("waits")
        await receive()
        event = await receive()
        note(event["type"])
    elif kind == "scope":
        await start()
        await body(json.dumps({"path": scope["path"], "root_path": scope["root_path"], "raw_path": scope["raw_path"].decode(),
                               "query": scope["query_string"].decode(), "state": scope.get("state"), "started": started,
                               "scheme": scope["scheme"], "pid": os.getpid()}).encode())
    elif kind == "hint":
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await start()
        await body(b"hinted")
    elif kind == "spin":
        while True:
            pass
    elif kind == "crash":
        os.kill(os.getpid(), 9)
    else:
        await start(404)
        await body(b"nothing")


async def websocket(scope, receive, send):
    kind = scope["path"].strip("/")
    assert (await receive())["type"] == "websocket.connect"
    if kind == "refuse":
        return await send({"type": "websocket.close"})
    protocols = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": protocols[0] if protocols else None})
    if kind == "flood":         # until somebody leaves
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"z" * 65536})
        except OSError:
            return note("flood ended")
    if kind == "close":
        return await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return note(f"disconnect {event['code']}")
        if event.get("text") == "pid":
            await send({"type": "websocket.send", "text": str(os.getpid())})
        elif event.get("text") == "crash":
            os.kill(os.getpid(), 9)
        elif event.get("text") is not None:
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


async def application(scope, receive, send):
    await {"lifespan": lifespan, "http": http, "websocket": websocket}[scope["type"]](scope, receive, send)
