"""`fivefold serve DIR`: a folder without a configuration, and the command line around it."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import processes
from harness.programs import ECHO_C
from harness.server import FIVEFOLD, STOP_DEADLINE, fivefold
from harness.wire import Connection


class Served:
    def __init__(self, folder, *arguments):
        self.errors = open(folder.path.parent / (folder.path.name + ".errors"), "w+b")
        os.unlink(self.errors.name)
        self.process = subprocess.Popen([FIVEFOLD, "serve", str(folder.path), "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, start_new_session=True)
        self.output = []
        self.address = None
        for line in self.process.stdout:
            self.output.append(line)
            if match := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.address = ("127.0.0.1", int(match[1]))
                break

    def get(self, path, **keywords):
        with Connection(self.address) as connection:
            return connection.exchange("GET", path, **keywords)

    def stop(self):
        family = [processes.identity(pid) for pid in processes.descendants(self.process.pid)]
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(STOP_DEADLINE)
        processes.wait_gone([who for who in family if who], 3)
        self.process.stdout.close()
        self.errors.close()
        return status


@pytest.fixture
def served(folder):
    running = []

    def start(*arguments):
        running.append(Served(folder, *arguments))
        return running[-1]

    yield start
    for instance in running:
        assert instance.stop() == 0


def test_each_file_runs_by_its_kind(folder, served):
    folder.write("index.html", "<p>front</p>\n")
    folder.write("docs/a.txt", "a text\n")
    folder.c("cgi-bin/echo", ECHO_C)
    folder.shell("tool.cgi", "echo Content-Type: text/plain; echo; echo from tool.cgi")
    folder.write(".secret", "hidden\n")
    site = served()
    assert site.get("/").body == b"<p>front</p>\n"
    assert site.get("/docs/a.txt").body == b"a text\n"
    assert site.get("/docs/").status == 200, "a folder is listed"
    assert site.get("/cgi-bin/echo/x").json["environment"]["PATH_INFO"] == "/x"
    assert site.get("/tool.cgi").body == b"from tool.cgi\n"
    assert site.get("/.secret").status == 404
    printed = "".join(site.output)
    assert "cgi" in printed and "tool.cgi" in printed and "files" in printed


def test_sources_of_programs_are_never_sent(folder, served):
    secrets = {"page.php": "<?php $password = 'secret source'; no_such_function(); ?>", "api/server.js": "// secret source", "api/package.json": '{"scripts": {"start": "node server.js"}, "x": "secret source"}',
               "shop/wsgi.py": "# secret source", "functions/thumb/app.py": "# secret source", "cgi-bin/tool.pl": "#!/usr/bin/perl\n# secret source", "x.cgi": "secret source"}
    for name, text in secrets.items():
        folder.write(name, text)
    site = served()
    for name in secrets:
        response = site.get("/" + name, timeout=30)  # the applications among them are started first, and fail
        assert b"secret source" not in response.body, (name, response)
        assert response.status >= 400, (name, response)


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_applications_are_mounted_at_their_folders(folder, served):
    script = """require("http").createServer((request, response) => response.end(
        `${process.cwd()} ${request.url} ${request.headers["x-forwarded-prefix"] || "-"}`)).listen(3000);\n"""
    folder.write("index.html", "front\n")
    folder.write("one/server.js", script)
    folder.write("deep/two/package.json", '{"scripts": {"start": "node main.js"}}')
    folder.write("deep/two/main.js", script)
    folder.write("broken/package.json", '{"scripts": {"start": "node gone.js"}}')
    site = served()
    assert site.get("/").body == b"front\n"
    assert site.get("/one/server.js?x=1", timeout=30).text == f"{folder.path}/one /server.js?x=1 /one"
    assert site.get("/deep/two/", timeout=30).text == f"{folder.path}/deep/two / /deep/two"
    assert site.get("/broken/package.json").status == 404
    printed = "".join(site.output)
    assert "node main.js" in printed and "broken/gone.js is not there" in printed


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_an_application_in_the_folder_itself_answers_everything(folder, served):
    folder.write("server.js", 'require("http").createServer((request, response) => response.end(request.url)).listen(3000);\n')
    folder.write("legacy.php", "<?php secret")
    site = served()
    for path in ("/", "/server.js", "/legacy.php", "/cgi-bin/x?y"):
        assert site.get(path, timeout=30).text == path


def test_errors_are_told_in_the_page(folder, served):
    folder.shell("cgi-bin/fails", "echo 'what went wrong' >&2; exit 3")
    site = served()
    response = site.get("/cgi-bin/fails")
    assert response.status in (500, 502) and "what went wrong" in response.text and "status 3" in response.text


def test_a_configuration_in_the_folder_is_used(folder, served):
    folder.write("fivefold.toml", '[server]\naccess_log = "off"\n[[route]]\npath = "/here"\nredirect = { to = "/there" }\n')
    site = served()
    assert site.get("/here").status == 302


def test_folder_that_is_not_there():
    done = fivefold("serve", "/no/such/folder")
    assert done.returncode == 1 and "/no/such/folder" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["run", "--bogus"], ["stauts"]])
def test_command_line_that_is_not_understood(arguments):
    done = fivefold(*arguments)
    assert done.returncode in ((0, 2) if not arguments else (2,))
    assert (done.stdout + done.stderr).strip()
    if arguments == ["stauts"]:
        assert "status" in done.stderr


def test_help_and_version():
    done = fivefold("--help")
    assert done.returncode == 0
    for verb in ("serve", "run", "check", "status", "reload", "restart", "stop", "logs", "top"):
        assert verb in done.stdout
    assert re.search(r"\d+\.\d+", fivefold("--version").stdout)


def test_check_tells_every_fault_with_its_place(folder):
    folder.write("fivefold.toml", '[server]\nlissten = ["x"]\nthreads = "many"\n[[route]]\npath = "nowhere"\nfiles = "missing"\n[[route]]\nrun = "unknown"\n')
    done = fivefold("check", "--config", folder / "fivefold.toml")
    text = done.stdout + done.stderr
    assert done.returncode == 1
    for line, word in ((2, "lissten"), (3, "threads"), (5, "nowhere"), (8, "unknown")):
        assert re.search(rf"fivefold\.toml:{line}:\d+: .*{word}", text), (line, word, text)
    assert "listen" in text, "a mend is offered"


def test_check_of_a_good_one(folder):
    folder.write("www/index.html", "x")
    folder.write("fivefold.toml", '[[route]]\npath = "/*"\nfiles = "www"\n')
    done = fivefold("check", "--config", folder / "fivefold.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_logs_command(serve, folder):
    folder.write("www/index.html", "x")
    site = serve('[[route]]\npath = "/*"\nfiles = "www"\n')
    site.get("/?asked-for")
    site.wait_access("asked-for")
    assert "asked-for" in site.command("logs", "--access").stdout
    assert site.command("logs").returncode == 0
