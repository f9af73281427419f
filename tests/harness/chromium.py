"""Chromium without a window, driven over its own protocol: what a person at the page sees, and what its console says."""
import json
import os
import select
import signal
import subprocess
import time

from . import processes

COMMAND = "/usr/bin/chromium"


class Chromium:
    """One tab. `faults` are what went wrong on its pages: scripts that threw, parts that did not come."""

    DEADLINE = 60

    def __init__(self, folder):
        profile = folder.mkdir("chromium")
        to_read, to_write = os.pipe(), os.pipe()

        def prepare():      # the protocol is spoken over descriptors 3 and 4, whatever these were
            read, write = os.dup(to_read[0]), os.dup(to_write[1])
            read, write = (os.dup(fd) if fd < 5 else fd for fd in (read, write))
            os.dup2(read, 3), os.dup2(write, 4)

        self.log = open(folder / "chromium.log", "ab")
        self.process = subprocess.Popen(
            [COMMAND, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-extensions", "--disable-sync", "--mute-audio", "--window-size=1280,1600", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, close_fds=False, preexec_fn=prepare, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(profile), "LANG": "C.UTF-8"})
        os.close(to_read[0]), os.close(to_write[1])
        self.write_fd, self.read_fd = to_read[1], to_write[0]
        self.buffer, self.number, self.session, self.faults, self.loaded, self.events = b"", 0, None, [], 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    # -- the protocol

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        stop = time.monotonic() + self.DEADLINE
        while True:
            answer = self._message(stop)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _message(self, stop):
        while b"\0" not in self.buffer:
            left = stop - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise AssertionError(f"Chromium says nothing: {open(self.log.name).read()[-2000:]}")
            data = os.read(self.read_fd, 1 << 20)
            assert data, f"Chromium has ended: {open(self.log.name).read()[-2000:]}"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, what):
        if method == "Page.loadEventFired":
            self.loaded += 1
        elif method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.faults.append(f"{details.get('url')}: {details['text']} {details.get('exception', {}).get('description', '')}")
        elif method == "Network.responseReceived" and what["response"]["status"] >= 400:
            self.faults.append(f"{what['response']['status']} {what['response']['url']}")
        elif method == "Network.loadingFailed" and not what.get("canceled"):
            self.faults.append(f"{what['type']}: {what['errorText']}")
        elif method == "Page.javascriptDialogOpening":
            self.faults.append(f"a dialog: {what['message']}")

    # -- what a person does

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def go(self, url):
        self._loads(lambda: self.call("Page.navigate", url=url))

    def _loads(self, action):
        before = self.loaded
        action()
        stop = time.monotonic() + self.DEADLINE
        while self.loaded == before:
            self._message(stop)

    def wait(self, expression, what=None):
        return processes.wait_for(lambda: self.evaluate(expression), 30, lambda: f"{what or expression} at {self.url}: {self.text[:1500]}; {self.faults}")

    @property
    def url(self):
        return self.evaluate("location.href")

    @property
    def text(self):
        """What can be read on the page."""
        return self.evaluate("document.body ? document.body.innerText : ''")

    def click(self, selector, loads=False):
        """With the mouse, where the element is; `loads`: another page comes of it."""
        name = json.dumps(selector)
        place = self.wait(f"(() => {{ const e = document.querySelector({name}); if (!e) return null; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = e.getBoundingClientRect();"
                          f" return r.width && r.height ? {{x: r.x + r.width / 2, y: r.y + r.height / 2}} : null; }})()", f"{selector} to be seen")

        def press():
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
        self._loads(press) if loads else press()

    def fill(self, selector, text):
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def stop(self):
        for fd in (self.write_fd, self.read_fd):
            os.close(fd)
        family = [self.process.pid, *processes.descendants(self.process.pid)]
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for pid in family[1:]:      # orphans come to the tests' process
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
        self.log.close()
