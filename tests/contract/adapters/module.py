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


# Under the model `app`: one word changed.
def deploy_application(interface, more=""):
    def deploy(folder, settings):
        name = f"contract_{interface}"
        folder.write(f"program/{name}.py", (PROGRAMS / f"{name}.py").read_text())
        lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
        return f'[program.contract]\nmodel = "app"\nroot = "program"\n{interface} = "{name}:application"\n{more}{lines}\n'
    return deploy


def deploy_perl(folder, settings):
    folder.write("program/contract.pl", (PROGRAMS / "contract.pl").read_text())
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[program.contract]\nmodel = "module"\nlanguage = "perl"\nscript = "program/contract.pl"\n{lines}\n'


def deploy_psgi(folder, settings):
    folder.write("program/contract.psgi", (PROGRAMS / "contract.psgi").read_text())
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[program.contract]\nmodel = "module"\nroot = "program"\npsgi = "contract.psgi"\n{lines}\n'


CAPABILITIES = {"streams", "meta-variables", "crash-mid-response", "end-is-told", "stderr", "pid"}
ADAPTERS = [
    Adapter("module-php", "module", deploy_php, needs=[worker("php")],
            capabilities=CAPABILITIES),
    Adapter("module-wsgi", "module", deploy_wsgi, needs=[worker("python")], capabilities=CAPABILITIES),
    Adapter("app-wsgi-threads", "app", deploy_application("wsgi", "threads = 8\n"), needs=[worker("python")], capabilities=CAPABILITIES),
    Adapter("app-asgi", "app", deploy_application("asgi"), needs=[worker("python")], capabilities=CAPABILITIES - {"meta-variables"}),
    # As a CGI script: its own head, local redirects, exit().
    Adapter("module-perl", "module", deploy_perl, needs=[worker("perl")],
            capabilities=CAPABILITIES | {"local-redirect", "raw-head", "exit-status"}),
    Adapter("module-psgi", "module", deploy_psgi, needs=[worker("perl")], capabilities=CAPABILITIES),
]
