"""Clients that keep asking while something happens to the server."""
import threading
import time

from harness.wire import Closed, Truncated


class Load:
    """Clients that ask again and again, each on its kept-alive connection, until stopped; every outcome is kept."""

    def __init__(self, site, path, clients=4):
        self.site, self.path = site, path
        self.stopping = threading.Event()
        self.outcomes, self.faults = [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = self.site.connect(timeout=20)
        fresh = True
        while not self.stopping.is_set():
            try:
                response = connection.exchange("GET", self.path)
                self.outcomes.append(response.status)
                fresh = False
                if response.get("connection", "").lower() == "close":
                    connection.close()
                    connection, fresh = self.site.connect(timeout=20), True
            except Closed:
                # A server may close an idle connection at any time; on one that was just opened it may not.
                if fresh:
                    self.faults.append("a fresh connection was closed without an answer")
                    return
                connection.close()
                connection, fresh = self.site.connect(timeout=20), True
            except Exception as fault:
                self.faults.append(f"on a {'fresh' if fresh else 'used'} connection: {type(fault).__name__}: {fault}")
                return

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults[:5]
        return self.outcomes


class Shared:
    """Clients that share out a list of targets, each on its kept-alive connection.

    `told(target, response, end, seconds)` hears of each, on its client's thread: a response, or None and the Closed or Truncated that ended the connection.
    """

    def __init__(self, site, targets, told, clients=24, timeout=60):
        self.site, self.told, self.timeout = site, told, timeout
        self.targets, self.lock = iter(targets), threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = None
        while True:
            with self.lock:
                target = next(self.targets, None)
            if target is None:
                break
            connection = connection or self.site.connect(timeout=self.timeout)
            begun = time.monotonic()
            response = end = None
            try:
                response = connection.exchange("GET", target)
            except (Closed, Truncated) as how:
                end = how
            self.told(target, response, end, time.monotonic() - begun)
            if end or response.get("connection", "").lower() == "close":
                connection.close()
                connection = None
        if connection:
            connection.close()

    def finish(self):
        for thread in self.threads:
            thread.join()
        return self
