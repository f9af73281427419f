"""One module per execution model. Each has ADAPTERS, a list of Adapter objects; drop in a file to put another model under the contract."""
import importlib
import pathlib
import shutil


class Adapter:
    """How the contract program runs under one execution model.

    name          for the test's id
    model         the word in the configuration
    needs         executables without which the adapter cannot run
    capabilities  of the words in CAPABILITIES; a row that needs another one is skipped
    """

    def __init__(self, name, model, deploy, needs=(), capabilities=()):
        self.name = name
        self.model = model
        self.deploy = deploy             # deploy(folder, settings) writes the program and returns its [program.contract] table
        self.needs = needs
        self.capabilities = frozenset(capabilities)
        unknown = self.capabilities - CAPABILITIES.keys()
        assert not unknown, unknown

    def missing(self):
        return [name for name in self.needs if not shutil.which(name)]


CAPABILITIES = {
    "streams": "output reaches the client while the program still runs",
    "process-per-request": "a request that is given up ends its process",
    "meta-variables": "the program sees the CGI meta-variables",
    "crash-mid-response": "the program can die after it has sent part of a response",
    "end-is-told": "a crash within a response without a length can be told from its end",
    "stderr": "the program has an error output of its own",
    "local-redirect": "a Location that is a path starts over inside the server (RFC 3875 section 6.2.2)",
    "exit-status": "the program can end with a status of its own for one request",
    "pid": "the program tells its process id",
    "raw-head": "the program writes the bytes of its response head itself",
}


def all_adapters():
    found = []
    for path in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            found += importlib.import_module(f"adapters.{path.stem}").ADAPTERS
    return found
