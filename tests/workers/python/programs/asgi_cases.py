"""One ASGI application; the path names the coroutine that answers."""
import asyncio
import contextvars
import os
import sys
import time

here = contextvars.ContextVar("here")
told = []  # what happened since anybody asked


async def start(send, status=200, headers=((b"content-type", b"text/plain"),)):
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def reply(send, body, status=200, headers=()):
    await start(send, status, headers)
    await send({"type": "http.response.body", "body": body})


async def one(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"hello"})


async def pieces(scope, receive, send):
    await start(send)
    for piece in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def own_length(scope, receive, send):
    await reply(send, b"hello", headers=[(b"Content-Length", b"5"), [b"Set-Cookie", b"a"], (b"Set-Cookie", b"b"), (b"Transfer-Encoding", b"chunked")])


async def no_content(scope, receive, send):
    await reply(send, b"nothing of this", 204)


async def scope(scope, receive, send):
    await reply(send, repr(scope).encode())


async def echo(scope, receive, send):
    await start(send)
    while True:
        event = await receive()
        await send({"type": "http.response.body", "body": event["body"], "more_body": event["more_body"]})
        if not event["more_body"]:
            return


async def events(scope, receive, send):
    got = [await receive(), ]
    await reply(send, repr(got).encode())
    got = [await receive(), await receive()]
    told.append(got)


async def tell(scope, receive, send):
    said = repr(told).encode()
    told.clear()
    await reply(send, said)


async def hint(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
    await one(scope, receive, send)


async def early(scope, receive, send):
    await one(scope, receive, send)
    await asyncio.sleep(0.05)
    told.append("went on")


async def large(scope, receive, send):
    await start(send)
    for _ in range(10):
        await send({"type": "http.response.body", "body": b"x" * 100000, "more_body": True})
        told.append("sent")
    await send({"type": "http.response.body"})


async def stream(scope, receive, send):
    await start(send)
    try:
        while True:
            await send({"type": "http.response.body", "body": b"tick", "more_body": True})
            await asyncio.sleep(0.005)
    except OSError as error:
        told.append(type(error).__name__)
        raise


async def waits_for_disconnect(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    listener = asyncio.create_task(receive())  # a coroutine as tasks want it
    await listener
    event = await asyncio.wait_for(receive(), 5)
    told.append(event)


gate = None


async def waits(scope, receive, send):
    global gate
    gate = gate or asyncio.Event()
    here.set(scope["query_string"])
    await gate.wait()
    await reply(send, here.get())


async def opens(scope, receive, send):
    gate.set()
    await one(scope, receive, send)


async def sleeps(scope, receive, send):
    try:
        await asyncio.sleep(60)
    finally:
        told.append("cleaned up")


async def sleeps_later(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await asyncio.sleep(60)


async def cancels_receive(scope, receive, send):
    try:
        await asyncio.wait_for(receive(), 0.01)
    except asyncio.TimeoutError:
        pass
    event = await receive()
    await reply(send, repr(event).encode())


async def state(scope, receive, send):
    scope["state"]["mine"] = True
    await reply(send, repr((scope["state"]["started"], "mine" in scope["state"], os.getpid())).encode())


async def forks(scope, receive, send):
    """The child comes back from here as the parent does."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    await reply(send, b"parent" if child else b"child")


# ---- mistakes ----

async def raises(scope, receive, send):
    raise ValueError("boom")


async def raises_later(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    raise ValueError("later")


async def raises_after_start(scope, receive, send):
    await start(send)
    raise ValueError("in time")


async def raises_at_the_end(scope, receive, send):
    await one(scope, receive, send)
    raise ValueError("after all")


async def exits(scope, receive, send):
    sys.exit(3)


async def nothing(scope, receive, send):
    pass


async def half(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})


async def body_first(scope, receive, send):
    await send({"type": "http.response.body", "body": b"x"})


async def twice(scope, receive, send):
    await start(send)
    await start(send)


async def after_the_end(scope, receive, send):
    await one(scope, receive, send)
    await send({"type": "http.response.body", "body": b"x"})


async def text(scope, receive, send):
    await reply(send, "text")


async def unknown(scope, receive, send):
    await send({"type": "websocket.accept"})


async def untyped(scope, receive, send):
    await send({})


async def not_a_dict(scope, receive, send):
    await send("http.response.start")


async def too_much(scope, receive, send):
    await reply(send, b"hello", headers=[(b"content-length", b"3")])


async def too_little(scope, receive, send):
    await reply(send, b"hello", headers=[(b"content-length", b"30")])


async def bad_status(scope, receive, send):
    await start(send, "200")


async def bad_header(scope, receive, send):
    await start(send, headers=[(b"a", b"x\r\ny")])


async def text_header(scope, receive, send):
    await start(send, headers=[("a", "b")])


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = "yes"
        print("lifespan begins")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan ends")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await globals()[scope["path"].strip("/")](scope, receive, send)
