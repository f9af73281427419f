"""How an application is found and loaded, and what is said when it is not."""
import ast
import subprocess

import pytest

from python_worker import start, variables

HELLO = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [NAME]
"""
TREE = {
    "app.py": HELLO.replace("NAME", "b'app ' + __name__.encode()") + "app = application\nother = 7\n",
    "factory.py": """
class Holder:
    def application(self, environ, start_response):
        start_response("200 OK", [])
        return [b"held"]
holder = Holder()
def create_app(name="nobody", debug=False):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{name} {debug}".encode()]
    return app
def nothing():
    return None
""",
    "site/__init__.py": "", "mysite/__init__.py": "", "mysite/deep/__init__.py": "",
    "mysite/wsgi.py": "from mysite.deep import *\n" + HELLO.replace("NAME", "b'mysite ' + __name__.encode()"),
    "loose/sibling.py": "name = b'sibling'",
    "loose/wsgi.py": "import sibling\n" + HELLO.replace("NAME", "sibling.name + b' ' + __name__.encode()"),
    "script.wsgi": HELLO.replace("NAME", "b'script ' + __name__.encode()"),
    "with-dash.py": HELLO.replace("NAME", "b'dash ' + __name__.encode()"),
    "string.py": HELLO.replace("NAME", "b'a file called as a module of the library'"),
    "elsewhere/more.py": HELLO.replace("NAME", "b'more'"),
    "asynchronous.py": "async def app(scope, receive, send): pass\n",
    "broken.py": "def application(:\n",
    "imports_nothing.py": "import no_such_module_at_all\n",
    "raises.py": "raise RuntimeError('not today')\n",
    "exits.py": "import sys; sys.exit('bye')\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def answer(zygote, path="/"):
    return zygote.fork().call(variables(path)).text_body


FOUND = {
    "app:application": "app app",
    "app:app": "app app",
    "app": "app app",
    "app.py": "app app",
    "./app.py:app": "app app",
    "factory:create_app()": "nobody False",
    "factory:create_app('shop', debug=True)": "shop True",
    "factory:holder.application": "held",
    "mysite.wsgi": "mysite mysite.wsgi",
    "mysite.wsgi:application": "mysite mysite.wsgi",
    "mysite/wsgi.py": "mysite mysite.wsgi",
    "loose/wsgi.py:application": "sibling wsgi",
    "script.wsgi": "script fivefold_script",
    "with-dash.py": "dash fivefold_with_dash",
    "string.py": "a file called as a module of the library",
}


@pytest.mark.parametrize("spec", FOUND)
def test_applications_are_found_as_people_write_them(python, tree, spec):
    assert answer(python(f"wsgi={spec}", f"root={tree}")) == FOUND[spec]


def test_an_absolute_path_is_a_file_too(python, tree):
    assert answer(python(f"wsgi={tree}/mysite/wsgi.py", "root=/")) == "mysite mysite.wsgi"


@pytest.mark.parametrize("path", ["elsewhere", "{tree}/elsewhere"])
def test_path_adds_a_folder(python, tree, path):
    assert answer(python("wsgi=more", f"root={tree}", "path=" + path.format(tree=tree))) == "more"


NOT_FOUND = {
    "nothing:app": 'There is no module "nothing" in ',
    "mysite.nothing:app": 'There is no module "mysite.nothing" in ',
    "nothing.py": 'There is no file "nothing.py" in {tree}',
    "app:nothing": '"app" has nothing named "nothing"; it has app, application',
    "app:other": '"app:other" is a int, not an application: it cannot be called',
    "app:1+1": "neither a name nor a call of one",
    "app:": None,
    ":app": 'names no module; write "module:application"',
    "app:app(": "neither a name nor a call of one",
    "factory:create_app(name)": "must be literals",
    "factory:nothing": '"factory:nothing" takes no arguments: is it a factory? Then write "factory:nothing()"',
    "factory:nothing()": '"factory:nothing()" is a NoneType, not an application',
    "asynchronous:app": '"asynchronous:app" is an ASGI application; write asgi = "asynchronous:app"',
    "broken": "SyntaxError",
    "imports_nothing": "No module named 'no_such_module_at_all'",
    "raises": "RuntimeError: not today",
    "exits": "SystemExit: bye",
}


def run(*settings):
    """A start that fails: (status, what it printed)."""
    zygote = start(*settings, start=False)
    try:
        return zygote.wait(), zygote.printed()
    finally:
        zygote.close()


@pytest.mark.parametrize("spec", [spec for spec, text in NOT_FOUND.items() if text])
def test_what_is_wrong_is_said(tree, spec):
    status, printed = run(f"wsgi={spec}", f"root={tree}")
    assert status == 70
    assert NOT_FOUND[spec].format(tree=tree) in printed
    own = spec in ("broken", "imports_nothing", "raises", "exits")
    assert ("Traceback" in printed) == own, printed
    if not own:
        assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("settings, text", [
    (["root=/"], "Say wsgi=module:callable"), (["interface=rsgi"], "interface=rsgi is not known"), (["wsgi=app", "root=/no/such"], "cannot be entered"),
    (["wsgi=app", "venv=/tmp"], "is no virtual environment"), (["wsgy=app"], "wsgy")])
def test_settings_are_checked(settings, text):
    status, printed = run(*settings)
    assert status in (64, 70) and text in printed


# ---- the process that it finds itself in ----

def test_it_is_in_its_folder_and_python_is_the_systems(python, tmp_path):
    (tmp_path / "where.py").write_text("""
import os, sys, locale
print("seen:", [os.getcwd(), sys.executable, sys.argv, sys.path[:2], sys.stdout.encoding, sys.getfilesystemencoding(), sys.prefix])
def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]
""")
    zygote = python("wsgi=where", f"root={tmp_path}", f"path={tmp_path}/lib")
    seen = ast.literal_eval(zygote.printed().split("seen: ")[1].splitlines()[0])
    assert seen == [str(tmp_path), "/usr/bin/python3", ["fivefold"], [f"{tmp_path}/lib", str(tmp_path)], "utf-8", "utf-8", "/usr"]


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    packages, = folder.glob("lib/python3.*/site-packages")
    (packages / "only_here.py").write_text(HELLO.replace("NAME", "__import__('sys').prefix.encode()"))
    return folder


def test_a_virtual_environment_brings_its_packages(python, venv):
    assert answer(python("wsgi=only_here", "root=/", f"venv={venv}")) == str(venv)


def test_an_environment_of_another_python_is_refused(venv, tmp_path):
    other = tmp_path / "venv"
    other.mkdir()
    (other / "pyvenv.cfg").write_text((venv / "pyvenv.cfg").read_text().replace("version = 3.", "version = 2."))
    status, printed = run("wsgi=only_here", f"venv={other}")
    assert status == 70 and "was made for Python 2." in printed and "Make it again" in printed


LIFE = """
import atexit, gc, os, random, threading
print("loaded in", os.getpid())
atexit.register(lambda: print("left", os.getpid()))
os.register_at_fork(after_in_child=lambda: print("forked", os.getpid()))
def application(environ, start_response):
    start_response("200 OK", [])
    return [repr((gc.get_freeze_count() > 1000, gc.isenabled(), random.random(), os.getpid())).encode()]
"""


def test_loaded_once_then_forked(python, tmp_path):
    (tmp_path / "life.py").write_text(LIFE)
    zygote = python("wsgi=life", f"root={tmp_path}")
    workers = [zygote.fork() for _ in range(2)]
    seen = [ast.literal_eval(worker.call(variables("/")).text_body) for worker in workers]
    assert [one[:2] for one in seen] == [(True, True)] * 2
    assert seen[0][2] != seen[1][2], "both workers have the same random numbers"
    assert [one[3] for one in seen] == [worker.pid for worker in workers]
    for worker in workers:
        worker.close()
        assert worker.wait() == 0
    printed = zygote.printed().splitlines()
    assert printed.count(f"loaded in {zygote.pid}") == 1
    assert sorted(printed[1:]) == sorted(f"{word} {worker.pid}" for word in ("forked", "left") for worker in workers)


def test_without_preload_each_worker_loads_it(python, tmp_path):
    (tmp_path / "life.py").write_text(LIFE)
    zygote = python("wsgi=life", f"root={tmp_path}", "preload=no")
    worker = zygote.fork()
    assert worker.call(variables("/")).status == 200
    assert f"loaded in {worker.pid}" in zygote.printed()


def test_threads_of_the_zygote_are_told(python, tmp_path):
    (tmp_path / "threads.py").write_text(HELLO.replace("NAME", "b'x'") + "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, "
                                         "name='monitor').start()\n")
    zygote = python("wsgi=threads", f"root={tmp_path}")
    assert "started 1 threads while it was loaded (['monitor'])" in zygote.printed()
    worker = zygote.fork()
    assert worker.call(variables("/")).text_body == "x"
    worker.close()
    assert worker.wait() == 0  # whichever thread the kernel tells of it


def test_a_worker_that_cannot_load_it_leaves(python, tree):
    zygote = python("wsgi=raises", f"root={tree}", "preload=no")
    worker = zygote.fork()
    assert worker.wait() == 70
    assert "RuntimeError: not today" in zygote.printed()
