#!/usr/bin/env python3
"""What a worker's own process costs per request: its CPU time, without the server's and the client's.

    bench/workers.py php SCRIPT [setting=value ...] [--requests N] [--method M] [--body BYTES]

One worker, over its channel as the server would speak to it. Of ASGI, --depth requests are answered at once. With `worker=SCRIPT` among the settings PHP runs in worker mode.
FIVEFOLD names the server's executable beside whose workers/ the worker lies."""
import argparse
import pathlib
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "tests"), str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "workers")]
from driver import END, FRAME_HEADER, IS_IDLE, LAST, REQUEST, REQUEST_HEADER, Zygote, cgi_variables   # noqa: E402


def cpu(pid):
    """Seconds on a processor, exact to the nanosecond."""
    return sum(int(task.joinpath("schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name: int(fields[name].split()[0]) for name in ("Rss", "Pss", "Private_Dirty")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language")
    parser.add_argument("script", type=pathlib.Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=2, help="alive at once; one is measured")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--body", type=int, default=0)
    parser.add_argument("--query", default="")
    parser.add_argument("--depth", type=int, default=16, help="requests that are sent at once; scripts must not read a body or flush")
    options = parser.parse_args()
    script = options.script.resolve()
    body = b"x" * options.body
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))] if body else []
    variables = cgi_variables(script, f"/{script.name}?{options.query}", options.method, headers=headers)
    text = b"".join(f"{name}={value}\0".encode() for name, value in variables.items())
    payload = REQUEST_HEADER.pack(len(body), 30_000, len(variables), len(text), 0) + text + body
    end = FRAME_HEADER.pack(0, END, IS_IDLE, 0, 0)[:-4]  # of whichever stream
    requests = b"".join(FRAME_HEADER.pack(len(payload), REQUEST, LAST, 0, stream) + payload for stream in range(1, options.depth + 1))
    with Zygote(options.language, f"root={script.parent}", *options.settings) as zygote:
        workers = [zygote.fork() for _ in range(options.workers)]
        answer = workers[0].call(variables, body)
        print(f"{zygote.text}: {answer.status} {answer.body[:60]!r}")
        sock = workers[0].channel.socket

        def once():
            """So many requests as --depth says, at once: the worker is not made to sleep between them, and only its own work is seen."""
            sock.sendall(requests)
            answers = sock.recv(1 << 20)
            while answers.count(end) < options.depth:
                answers += sock.recv(1 << 20)

        for worker in workers[1:]:
            worker.call(variables, body)
        for _ in range(2000 // options.depth):
            once()
        for turn in range(3):
            begun, used = time.perf_counter(), cpu(workers[0].pid)
            rounds = options.requests // 3 // options.depth
            for _ in range(rounds):
                once()
            count = rounds * options.depth
            print(f"  {(cpu(workers[0].pid) - used) / count * 1e6:.2f} us of CPU in the worker, {(time.perf_counter() - begun) / count * 1e6:.1f} us in all")
        print("  zygote", memory(zygote.pid), "worker", memory(workers[0].pid), "KB")


if __name__ == "__main__":
    main()
