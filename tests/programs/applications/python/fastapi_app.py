"""FastAPI: forms, files, streams and WebSockets."""
import asyncio
import hashlib
import os

from fastapi import FastAPI, File, Form, Request, Response, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()


@app.on_event("startup")
async def started():
    print("the application has started", flush=True)


@app.on_event("shutdown")
async def ended():
    print("the application has ended", flush=True)


@app.get("/hello", response_class=PlainTextResponse)
async def hello(name: str):
    return f"hello {name}"


@app.post("/form", response_class=PlainTextResponse)
async def form(name: str = Form()):
    return f"form {name}"


@app.put("/upload", response_class=PlainTextResponse)
async def upload(request: Request):
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return digest.hexdigest()


@app.post("/multipart", response_class=PlainTextResponse)
async def multipart(file: UploadFile = File()):
    return hashlib.sha256(await file.read()).hexdigest()


@app.get("/download/{size}")
async def download(size: int):
    async def blocks():
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)
    return StreamingResponse(blocks(), media_type="application/octet-stream")


@app.get("/cookies")
async def cookies(request: Request):
    response = Response(request.headers.get("cookie", ""), media_type="text/plain")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/events")
async def events(until: str):
    async def stream():
        yield "data: first\n\n"
        while not os.path.exists(until):
            await asyncio.sleep(0.01)
        yield "data: last\n\n"
    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/who")
async def who(request: Request):
    return {"ip": request.client.host if request.client else None, "protocol": request.url.scheme, "host": request.headers["host"],
            "url": request.url.path + ("?" + request.url.query if request.url.query else "")}


@app.get("/fail")
async def fail():
    raise RuntimeError("on purpose")


@app.websocket("/ws")
async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text("echo " + message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass
