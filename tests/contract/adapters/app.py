"""The contract program as a supervised application, over each protocol."""
import pathlib

from . import Adapter

PROGRAMS = pathlib.Path(__file__).parents[1] / "programs"


def deploy_with(protocol):
    def deploy(folder, settings):
        for name in ("contract.py", "contract_server.py"):
            folder.write(f"program/{name}", (PROGRAMS / name).read_text())
        lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
        return (f'[program.contract]\nmodel = "app"\nroot = "program"\nprotocol = "{protocol}"\n'
                f'command = ["/usr/bin/python3", "contract_server.py", "{protocol}", "{{socket}}"]\n{lines}\n')
    return deploy


def deploy_h2c(folder, settings):
    for name in ("contract.py", "contract_h2c.py"):
        folder.write(f"program/{name}", (PROGRAMS / name).read_text())
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return ('[program.contract]\nmodel = "app"\nroot = "program"\nprotocol = "h2c"\n'
            f'command = ["/usr/bin/python3", "contract_h2c.py", "{{socket}}"]\n{lines}\n')


# SCGI and uwsgi end a response by closing the connection, as a process that dies does: only a length tells the two apart.
VARIABLES = {"streams", "meta-variables", "crash-mid-response", "stderr", "pid", "raw-head"}
ADAPTERS = [
    Adapter("app-http", "app", deploy_with("http"), needs=["/usr/bin/python3"], capabilities=VARIABLES | {"end-is-told"}),
    # Many requests share a connection: one that ends is reset alone, and its program with it.
    Adapter("app-h2c", "app", deploy_h2c, needs=["/usr/bin/python3"],
            capabilities=VARIABLES | {"end-is-told", "process-per-request", "exit-status"}),
    Adapter("app-fastcgi", "app", deploy_with("fastcgi"), needs=["/usr/bin/python3"],
            capabilities=VARIABLES | {"local-redirect", "end-is-told"}),
    Adapter("app-scgi", "app", deploy_with("scgi"), needs=["/usr/bin/python3"], capabilities=VARIABLES | {"local-redirect"}),
    Adapter("app-uwsgi", "app", deploy_with("uwsgi"), needs=["/usr/bin/python3"], capabilities=VARIABLES | {"local-redirect"}),
]
