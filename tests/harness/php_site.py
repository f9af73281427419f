"""A PHP program in the server's own workers, with a folder of its own to write to."""
import os

import pytest

from .application import give_to_server
from .browser import Browser
from .server import FIVEFOLD

ROUTE = '[[route]]\nrun = "site"\n'


def worker(language="php"):
    """The executable that holds the interpreter, or None where it is not built."""
    path = os.path.join(os.path.dirname(FIVEFOLD), "workers", language, f"fivefold-{language}")
    return path if os.access(path, os.X_OK) else None


def php_site(folder, serve, settings, routes=ROUTE):
    """The site, and a browser at it. `settings` are the lines of its program; what it writes belongs to the server's user."""
    if not worker():
        pytest.skip("fivefold-php is not built")
    for name in ("data", "conf"):
        if (folder / name).exists():
            give_to_server(folder / name)
    site = serve(f'{routes}\n[program.site]\nmodel = "module"\nlanguage = "php"\n{settings}\n')
    site.settled = {}       # what its workers hold is there once they are ready
    return site, Browser(site)
