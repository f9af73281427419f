"""An application behind a server, and what the tests ask of it."""
import pathlib
import re

from harness import processes

PROGRAM = (pathlib.Path(__file__).parent / "programs" / "server.py").read_text()
ROUTES = '[[route]]\npath = "/app/*"\nrun = "api"\n[[route]]\npath = "/files/*"\nfiles = "www"\n'


class Application:
    """`settings` are lines of [program.api]; `serve` starts the server."""

    def __init__(self, folder, serve):
        self.folder, self.serve = folder, serve
        self.scratch = folder.mkdir("scratch", 0o777)

    def config(self, settings="", routes=ROUTES, arguments=""):
        return (f'{routes}[program.api]\nmodel = "app"\nroot = "api"\nstrip_prefix = true\n'
                f'command = ["/usr/bin/python3", "-u", "server.py", "{{socket}}"{arguments}]\n{settings}\n')

    def __call__(self, settings="", server="", wait=True, routes=ROUTES, arguments="", **keywords):
        self.folder.write("api/server.py", PROGRAM)
        self.folder.write("www/hello.txt", "hello from a file\n")
        self.site = self.serve(self.config(settings, routes, arguments), server, **keywords)
        self.site.settled = {}      # what its instances hold is there once they are ready
        if wait:
            self.wait_ready()
        return self.site

    def program(self):
        return next(program for program in self.site.status()["programs"] if program["name"] == "api")

    def instances(self, *states):
        return [each for each in self.program()["processes"] if not states or each["state"] in states]

    def ready(self):
        return self.instances("ready", "busy")

    def wait_ready(self, count=None, timeout=15):
        ready = processes.wait_for(lambda: (found := self.ready()) and (count is None or len(found) == count) and found, timeout,
                                   lambda: f"{count or 'any'} ready instance: {self.program()}\n{self.site.log_text()[-3000:]}")
        self.site.settled = self.site.settled or self.site._descriptors()
        return ready

    def note(self, name):
        path = self.scratch / name
        path.unlink(missing_ok=True)
        return path

    def pid(self, **keywords):
        response = self.site.get("/app/pid", **keywords)
        assert response.status == 200, response
        return int(response.text.split()[0])

    def pids(self):
        return sorted(each["pid"] for each in self.ready())

    def log_lines(self, expression):
        return [line for line in self.site.log_text().splitlines() if re.search(expression, line)]


def wait_noted(path, timeout=10):
    processes.wait_for(lambda: path.exists() and path.read_text().strip(), timeout, f"a request noted in {path}")
