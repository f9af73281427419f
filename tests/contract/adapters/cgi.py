"""The contract program as CGI: a Python script, started for each request."""
import pathlib

from . import CAPABILITIES, Adapter

PROGRAM = (pathlib.Path(__file__).parents[1] / "programs" / "contract.py").read_text()


def deploy(folder, settings):
    folder.python("program/contract.py", PROGRAM)
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[program.contract]\nmodel = "cgi"\nscript = "program/contract.py"\n{lines}\n'


ADAPTERS = [Adapter("cgi-python", "cgi", deploy, needs=["/usr/bin/python3"], capabilities=CAPABILITIES)]
