"""A worker executable that keeps to nothing: what it sends is named by the request's path. Run by the server in place of fivefold-php."""
import array
import os
import select
import signal
import socket
import struct
import sys

CONTROL, FRAME, REQUEST = struct.Struct("=IIiiI"), struct.Struct("=IBBHI"), struct.Struct("=QIIII")
HEAD, INTERIM, OUTPUT, END, IDLE, WANT, LOG = 16, 17, 18, 19, 20, 21, 22
GOOD = b"Status: 200 OK\r\nContent-Type: text/plain\r\n"


def frame(kind, payload=b"", flags=0, stream=1, size=None):
    return FRAME.pack(len(payload) if size is None else size, kind, flags, 0, stream) + payload


def answer(stream, body=b"good"):
    return frame(HEAD, GOOD, stream=stream) + frame(OUTPUT, body, stream=stream) + frame(END, flags=1, stream=stream)


def hostile(name, s):
    """What is sent for /NAME, as pieces; None closes the channel."""
    head, end = frame(HEAD, GOOD, stream=s), frame(END, flags=1, stream=s)
    return {
        "good": [answer(s)],
        "random": [os.urandom(5000)],
        "zeros": [bytes(5000)],
        "text": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 20],
        "size": [frame(OUTPUT, b"x" * 100, stream=s, size=0xffffffff)],
        "size-of-end": [head, frame(END, b"x" * 5000, flags=1, stream=s, size=1 << 20)],
        "large-output": [head, frame(OUTPUT, b"x" * (256 * 1024 + 1), stream=s), end],
        "half": [head, frame(OUTPUT, b"x" * 10, stream=s, size=100), None],
        "half-header": [frame(HEAD, GOOD, stream=s)[:7], None],
        "kind": [frame(1, b"x" * 100, stream=s)],
        "kind-0": [frame(0, stream=s)],
        "kind-255": [frame(255, b"abc", stream=s)],
        "flags": [frame(HEAD, GOOD, flags=0xff, stream=s), end],
        "flags-of-end": [head, frame(END, flags=0xe0, stream=s)],
        "huge-head": [frame(HEAD, b"Status: 200 OK\r\n" + b"X: %s\r\n" % (b"y" * 500_000), stream=s), end],
        "many-fields": [frame(HEAD, b"Status: 200 OK\r\n" + b"X: y\r\n" * 5000, stream=s), end],
        "two-heads": [head + head + end],
        "no-head": [frame(OUTPUT, b"body", stream=s) + end],
        "bad-head": [frame(HEAD, b"Status: 200 OK\r\nX: a\0b\rc\nInjected\r\n", stream=s) + end],
        "status-1": [frame(HEAD, b"Status: 1\r\n", stream=s) + end],
        "status-101": [frame(HEAD, b"Status: 101\r\nUpgrade: websocket\r\n", stream=s) + end],
        "length": [frame(HEAD, GOOD + b"Content-Length: 99999999999999999999999\r\n", stream=s) + end],
        "shorter": [frame(HEAD, GOOD + b"Content-Length: 100\r\n", stream=s) + frame(OUTPUT, b"short", stream=s) + end],
        "want-much": [frame(WANT, struct.pack("=I", 0xffffffff), stream=s) * 1000 + answer(s)],
        "want-size": [frame(WANT, b"x", stream=s)],
        "interims": [frame(INTERIM, b"Status: 103\r\nLink: <a>\r\n", stream=s) * 5000 + answer(s)],
        "bad-interim": [frame(INTERIM, b"Status: 200\r\n", stream=s) + answer(s)],
        "idle-first": [frame(IDLE, stream=s) + answer(s)],
        "failed-late": [head + frame(OUTPUT, b"begun", stream=s) + frame(END, b"late", flags=9, stream=s)],
        "logs": [frame(LOG, b"x" * 1000, flags=5, stream=s)] * 20_000 + [answer(s)],
        "logs-of-nobody": [frame(LOG, b"stray", flags=5, stream=0), answer(s)],
        "log-control": [frame(LOG, b"a\x1b[31mb\0c\nd\r\n" * 100, flags=3, stream=s), answer(s)],
        "close": [None],
        "nothing": [],
        "exit": [OSError],
    }.get(name, [answer(s)])


def after(name, s):
    """What comes behind a right answer, when nobody has asked."""
    return {"then-output": frame(OUTPUT, b"more", stream=s), "then-random": os.urandom(100), "then-head": frame(HEAD, GOOD, stream=s),
            "then-end": frame(END, flags=1, stream=s)}.get(name)


def serve(channels):
    received = {channel: b"" for channel in channels}
    while channels:
        for channel in select.select(channels, [], [])[0]:
            try:
                more = channel.recv(65536)
                if not more:
                    raise ConnectionError
                received[channel] += more
                while (data := received[channel]) and len(data) >= FRAME.size and len(data) >= FRAME.size + FRAME.unpack_from(data)[0]:
                    size, kind, _, _, stream = FRAME.unpack_from(data)
                    received[channel] = data[FRAME.size + size:]
                    if kind == 1:
                        respond(channel, data[FRAME.size + REQUEST.size:FRAME.size + size], stream)
            except ConnectionError:
                channels.remove(channel)
                channel.close()


def respond(channel, block, stream):
    uri = next(one for one in block.split(b"\0") if one.startswith(b"REQUEST_URI="))[12:].decode()
    name = uri.strip("/")
    if name == "wrong-stream":
        channel.sendall(frame(HEAD, GOOD, stream=stream + 7) + frame(END, flags=1, stream=stream + 7))
    elif (tail := after(name, stream)) is not None:
        channel.sendall(answer(stream) + tail)
    else:
        for piece in hostile(name, stream):
            if piece is None:
                raise ConnectionError
            if piece is OSError:
                os._exit(3)
            channel.sendall(piece)


def main():
    control = socket.socket(fileno=3)
    mode = os.environ.get("ZYGOTE", "")
    if mode == "nonsense":
        control.send(os.urandom(64))
        control.send(CONTROL.pack(99, 1, 2, 3, 4))
    if mode == "never":
        control.recv(100000)
    if mode == "long":
        control.send(CONTROL.pack(1, 0, 0, 0, 3000) + b"\x1b" * 3000)
    else:
        control.send(CONTROL.pack(1, 0, 0, 0, 7) + b"Hostile")
    children = {}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while packet := control.recv(100000):
        kind, number, value, _, _ = CONTROL.unpack_from(packet)
        if kind == 17:
            if pid := children.pop(number, 0):
                os.kill(pid, value)
                control.send(CONTROL.pack(3, number, value, pid, 0))
            continue
        if mode == "refuses":
            control.send(CONTROL.pack(4, number, 11, 0, 5) + b"\0\n\x1bno")
            continue
        pairs = [socket.socketpair() for _ in range(value)]
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            control.close()
            for ours, _ in pairs:
                ours.close()
            serve([theirs for _, theirs in pairs])
            os._exit(0)
        children[number] = pid  # reaped by nobody: SIGCHLD is ignored
        given = [ours.fileno() for ours, _ in pairs]
        if mode == "too-few":
            given = []
        if mode == "strangers":     # for workers that nobody has asked for
            control.send(CONTROL.pack(3, 4711, 0, 1, 0))
            control.send(CONTROL.pack(2, 4712, pid, 0, 0))
        control.sendmsg([CONTROL.pack(2, number, pid, 0, 0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else [])
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(1)
