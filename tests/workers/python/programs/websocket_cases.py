"""One ASGI application of WebSockets; the path names the coroutine that answers."""
import asyncio

told = []  # what happened since anybody asked


async def accept(receive, send, **more):
    event = await receive()
    assert event == {"type": "websocket.connect"}, event
    await send({"type": "websocket.accept"} | more)


async def echo(scope, receive, send):
    await accept(receive, send)
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            told.append(event)
            return
        await send({"type": "websocket.send"} | {key: event[key] for key in ("text", "bytes") if key in event})


async def scope(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": repr(scope)})
    await send({"type": "websocket.close", "code": 3001, "reason": "enough \u00e9"})
    told.append(await receive())


async def chooses(scope, receive, send):
    await accept(receive, send, subprotocol=scope["subprotocols"][-1], headers=[(b"x-one", b"1"), (b"Set-Cookie", b"a=b")])


async def refuses(scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})
    told.append(await receive())


async def denies(scope, receive, send):
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Basic")]})
    await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"are you?"})


async def returns(scope, receive, send):
    await accept(receive, send)


async def raises(scope, receive, send):
    await accept(receive, send)
    raise ValueError("boom")


async def raises_first(scope, receive, send):
    raise ValueError("boom")


async def never_accepts(scope, receive, send):
    await receive()
    told.append(await receive())


async def sleeps_first(scope, receive, send):
    await asyncio.sleep(60)


async def receives_late(scope, receive, send):
    await accept(receive, send)
    await asyncio.sleep(0.2)
    told.append((await receive())["text"])
    told.append(await receive())


async def stays(scope, receive, send):
    """Goes on after the connection."""
    await accept(receive, send)
    event = await receive()
    try:
        await send({"type": "websocket.send", "text": "x"})
    except OSError as error:
        told.append((event["code"], type(error).__name__))
    await asyncio.sleep(60)


gate = None


async def deaf(scope, receive, send):
    """Reads nothing until /opens."""
    global gate
    gate = asyncio.Event()
    await accept(receive, send)
    await gate.wait()
    total = count = 0
    while (event := await receive())["type"] != "websocket.disconnect":
        total, count = total + len(event.get("bytes") or event["text"]), count + 1
    told.append((count, total, event["code"]))


async def large(scope, receive, send):
    await accept(receive, send)
    for number in range(10):
        await send({"type": "websocket.send", "bytes": b"x" * 100000})
        told.append(number)
    await send({"type": "websocket.close"})


async def crowd(scope, receive, send):
    """Many tasks send at once, and several wait for messages at once."""
    await accept(receive, send)

    async def sender(number):
        await send({"type": "websocket.send", "text": str(number) * 50000})

    async def receiver():
        return (await receive())["text"]
    got = asyncio.gather(receiver(), receiver(), receiver())
    await asyncio.gather(*(sender(number) for number in range(10)))
    await send({"type": "websocket.send", "text": repr(sorted(await got))})


async def sends(scope, receive, send):
    """Sends the event that its query is."""
    await accept(receive, send)
    await send(eval(scope["query_string"]))
    await send({"type": "websocket.send", "text": "sent"})


async def accepts(scope, receive, send):
    await receive()
    await send(eval(scope["query_string"]))


async def http(scope, receive, send):
    if scope["path"] == "/opens":
        gate.set()
    said = repr(told)
    if scope["path"] == "/tell":
        told.clear()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": said.encode()})


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    await (http if scope["type"] == "http" else globals()[scope["path"].strip("/")])(scope, receive, send)
