"""The contract program inside the server's own workers, one adapter for each language that is installed."""
import os
import pathlib

from harness.server import FIVEFOLD

from . import Adapter

PROGRAMS = pathlib.Path(__file__).parents[1] / "programs"


def worker(language):
    return os.path.join(os.path.dirname(FIVEFOLD), "workers", language, f"fivefold-{language}")


def deploy_php(folder, settings):
    folder.write("program/contract.php", (PROGRAMS / "contract.php").read_text())
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return (f'[program.contract]\nmodel = "module"\nlanguage = "php"\nroot = "program"\ntry = ["/contract.php{{path}}"]\n'
            f'ini = {{ post_max_size = "256M", display_errors = false, output_buffering = 0 }}\n{lines}\n')


def deploy_wsgi(folder, settings):
    folder.write("program/contract_wsgi.py", (PROGRAMS / "contract_wsgi.py").read_text())
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return ('[program.contract]\nmodel = "module"\nlanguage = "python"\nroot = "program"\nwsgi = "contract_wsgi:application"\n'
            + lines + "\n")


CAPABILITIES = {"streams", "meta-variables", "crash-mid-response", "end-is-told", "stderr", "pid"}
ADAPTERS = [
    Adapter("module-php", "module", deploy_php, needs=[worker("php")],
            capabilities=CAPABILITIES),
    Adapter("module-wsgi", "module", deploy_wsgi, needs=[worker("python")], capabilities=CAPABILITIES),
]
