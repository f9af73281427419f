from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.get("/")
async def hello(request: Request, name: str = "world"):
    return {"hello": name, "client": request.client.host}


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text("echo " + await socket.receive_text())
    except WebSocketDisconnect:
        pass
