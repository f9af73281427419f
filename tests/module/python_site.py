"""A Python application in the server's own workers, and what the tests ask of it."""
import pathlib

from harness import processes

ROUTE = '[[route]]\npath = "/*"\nrun = "site"\n'
FILES = pathlib.Path(__file__).parent / "python"


class PythonSite:
    """`settings` are lines of [program.site]; calling it starts the server with the application of FILES/`file`."""

    def __init__(self, folder, serve):
        self.folder, self.serve = folder, serve
        self.notes = folder.mkdir("notes", 0o777) / "notes.txt"      # the application runs as another user

    def __call__(self, file="asgi_site.py", interface="asgi", settings="instances = 1", server="", text=None, route=ROUTE, object="application", **keywords):
        self.folder.write(f"site/{file}", text if text is not None else (FILES / file).read_text())
        self.interface, self.module, self.object, self.route = interface, file.removesuffix(".py"), object, route
        self.site = self.serve(self.config(settings), server, **keywords)
        return self.site

    def config(self, settings=""):
        return (f'{self.route}[program.site]\nmodel = "app"\nroot = "site"\n{self.interface} = "{self.module}:{self.object}"\n'
                f'env = {{ NOTES = "{self.notes}" }}\n{settings}\n')

    def noted(self, line, count=1, timeout=10):
        def lines():
            return self.notes.read_text().splitlines() if self.notes.exists() else []
        processes.wait_for(lambda: lines().count(line) >= count, timeout, lambda: f"{count} x {line!r} in {lines()}\n{self.site.log_text()[-3000:]}")

    def program(self):
        return next(program for program in self.site.status()["programs"] if program["name"] == "site")

    def pids(self):
        return sorted(each["pid"] for each in self.program()["processes"] if each["state"] in ("ready", "busy"))

    def under_way(self):
        return sum(each["active"] for each in self.program()["processes"])
