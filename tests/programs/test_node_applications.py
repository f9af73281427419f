"""Node.js applications behind the real server: Express, Fastify, pages rendered on the server, and a chat between two browsers."""
import os
import shutil
import subprocess

import pytest

from harness import exercise
from harness.application import needs
from harness.packages import give_node_modules
from harness.server import REPOSITORY

PROGRAMS = REPOSITORY / "tests/programs/applications/node"
TRUST = 'trusted = ["127.0.0.1"]\n'
pytestmark = needs("node", "npm")


def application(folder, command, root="app", **settings):
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[[route]]\npath = "/*"\nrun = "site"\n[program.site]\nmodel = "app"\nroot = "{root}"\ncommand = {command}\nstart_timeout = "60s"\n{lines}\n'


@pytest.fixture(scope="module")
def sources(module_folder):
    """A folder with the applications and their packages."""
    shutil.copytree(PROGRAMS, module_folder / "app", copy_function=shutil.copyfile)
    give_node_modules(PROGRAMS / "package.json", module_folder / "app/node_modules")
    return module_folder


def test_express(folder, serve, sources):
    site = serve(application(folder, '["node", "express.js"]', sources / "app"), TRUST)
    exercise.everything(site, folder)
    exercise.websocket(site)


def test_express_in_two_instances(folder, serve, sources):
    site = serve(application(folder, '["node", "express.js"]', sources / "app", instances="2"), TRUST)
    exercise.get(site)
    exercise.upload(site)
    exercise.websocket(site)


def test_fastify(folder, serve, sources):
    site = serve(application(folder, '["node", "fastify.mjs"]', sources / "app"), TRUST)
    exercise.everything(site, folder)


def test_rendered_on_the_server(folder, serve, sources):
    place = sources / "app/vite"
    done = subprocess.run(["npm", "run", "build"], cwd=place, env={**os.environ, "PATH": f"{sources.path}/app/node_modules/.bin:{os.environ['PATH']}"}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    site = serve(application(folder, '["npm", "start"]', place), TRUST)
    page = site.get("/some/page", timeout=30)
    assert page.status == 200 and "<h1>Rendered for /some/page</h1>" in page.text and page["content-type"].startswith("text/html")
    script = next(word.split('"')[0] for word in page.text.split('src="')[1:])
    asset = site.get(script)
    assert asset.status == 200 and asset["content-type"].split(";")[0] in ("text/javascript", "application/javascript") and "immutable" in asset["cache-control"]
    assert site.get(script, [("If-None-Match", asset["etag"])]).status == 304


@needs("/usr/bin/chromium")
def test_two_browsers_chat(folder, serve, sources):
    site = serve(application(folder, '["node", "chat.js"]', sources / "app"), TRUST)
    site.get("/", timeout=30)
    done = subprocess.run(["node", "browser.js", f"http://127.0.0.1:{site.port}/", "/usr/bin/chromium"], cwd=sources / "app", stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=180, env={**os.environ, "HOME": str(folder.mkdir("home"))})
    assert done.returncode == 0 and done.stdout == "done\n", done.stdout + done.stderr + site.log_text()[-2000:]
