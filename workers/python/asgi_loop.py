"""The life of an ASGI worker around its requests: the loop, and the lifespan protocol. Part of fivefold-python."""
import asyncio
import signal
import sys
import traceback

uvloop = None
lifespans = "auto"


def choose(kind, lifespan):
    """In the zygote: "uvloop", "asyncio", or "auto" for uvloop where it is installed; and the lifespan: "on", "off" or "auto"."""
    global uvloop, lifespans
    lifespans = lifespan
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError:
            if kind == "uvloop":
                raise


class Lifespan:
    """The application is told of start and end, unless it does not know the lifespan protocol."""

    def __init__(self, application):
        self.application = application
        self.state = {}
        self.supported = True
        self.failed = None
        self.events = asyncio.Queue()
        self.started, self.stopped = asyncio.Event(), asyncio.Event()
        self.task = None

    async def run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.application(scope, self.events.get, self.send)
        except BaseException as error:
            if lifespans == "on" and not self.started.is_set():
                self.failed = f"{type(error).__name__}: {error}"
            if (self.failed or self.started.is_set()) and not isinstance(error, asyncio.CancelledError):
                print("The application failed in its lifespan:", file=sys.stderr)
                traceback.print_exception(error)
            self.supported = False
        else:
            if lifespans == "on" and not self.started.is_set():
                self.failed = "it returned from its lifespan before it had started"
        finally:
            self.supported = False
            self.started.set()
            self.stopped.set()

    async def send(self, event):
        kind = event["type"]
        if kind == "lifespan.startup.complete":
            self.started.set()
        elif kind == "lifespan.startup.failed":
            self.failed = event.get("message") or "it gave no reason"
            self.started.set()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            if kind.endswith("failed"):
                print("The application failed to shut down:", event.get("message") or "it gave no reason", file=sys.stderr)
            self.stopped.set()
        else:
            raise ValueError(f"send(): an event of type {kind!r} has no place in a lifespan")

    async def start(self):
        self.events.put_nowait({"type": "lifespan.startup"})
        self.task = asyncio.get_running_loop().create_task(self.run())
        await self.started.wait()

    async def stop(self):
        if self.supported:
            self.events.put_nowait({"type": "lifespan.shutdown"})
            await self.stopped.wait()


def run(application, attach):
    """Runs until attach(loop, state)'s channels have ended, or what it returns is called (SIGTERM). False: the application refused
    to start."""
    loop = uvloop.new_event_loop() if uvloop else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def make():
        return Lifespan(application)
    lifespan = loop.run_until_complete(make())
    if lifespans != "off":
        loop.run_until_complete(lifespan.start())
    if lifespan.failed is not None:
        print("The application refused to start:", lifespan.failed, file=sys.stderr)
        return False
    leave = attach(loop, lifespan.state)
    loop.add_signal_handler(signal.SIGTERM, leave)  # what was under way has had its time (drain)
    loop.run_forever()
    if lifespans != "off":
        loop.run_until_complete(lifespan.stop())
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return True
