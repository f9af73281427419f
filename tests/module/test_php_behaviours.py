"""What a client may expect of PHP, through the server: every row of php_behaviours.toml alone, all of them mixed from a hundred clients, and both
again in worker mode. What a row cannot say follows below."""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import threading
import tomllib

import pytest

from harness import processes
from harness.server import SANITIZED
from harness.wire import chunked
from module_harness import worker

HERE = pathlib.Path(__file__).parent
SCRIPTS = HERE.parent / "workers/php/scripts"
DATA = tomllib.loads((HERE / "php_behaviours.toml").read_text())
CLIENTS = 100
ROUNDS = 1 if SANITIZED else 2
FRONT = """<?php
while (fivefold_handle_request(function () {
    $path = explode('?', $_SERVER['REQUEST_URI'])[0];
    $script = __DIR__ . substr($path, 0, strpos($path, '.php') + 4);
    chdir(dirname($script));
    include $script;
}));
"""
SETTINGS = {
    "log_errors": 1, "error_log": "", "html_errors": 0, "output_buffering": 4096, "precision": 14, "user_agent": "from the program", "expose_php": 0, "auto_globals_jit": 1,
    "upload_max_filesize": "10M", "post_max_size": "12M", "register_argc_argv": 1, "variables_order": "GPCS", "default_charset": "UTF-8", "date.timezone": "UTC"}


def program(name, sessions, extra="", shown=False, instances=8):
    return (f'[program.{name}]\nmodel = "module"\nlanguage = "php"\nroot = "site"\ninstances = {instances}\ntimeout = "60s"\n{extra}\n'
            + "ini = { " + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in (SETTINGS | {"display_errors": int(shown)}).items()) + " }\n"
            + f'ini_admin = {{ memory_limit = "32M" }}\nenv = {{ CONFIGURED = "yes", SESSIONS = "{sessions}", LANG = "of the program" }}\n')


def configuration(folder, worker_mode):
    sessions = folder / "sessions"
    front = f'try = ["{{path}}", "/server.php{{path}}"]\nxsendfile_root = "{folder / "site"}"'
    return "".join(f'[[route]]\nhost = "{host}"\nrun = "{host}"\n' for host in ("front", "shown")) + '[[route]]\npath = "/*"\nrun = "site"\n' + \
        program("site", sessions, 'worker = "front-of-all.php"' if worker_mode else "") + program("front", sessions, front, instances=2) + \
        program("shown", sessions, shown=True, instances=2)


class Site:
    def __init__(self, folder, serve, worker_mode):
        self.folder, self.worker_mode = folder, worker_mode
        shutil.copytree(SCRIPTS, folder / "site")
        os.chmod(folder / "site", 0o755)
        for name, text in DATA["scripts"].items():
            folder.write(f"site/{name}", text)
        folder.write("site/front-of-all.php", FRONT)
        folder.write("secret.txt", "a secret")
        folder.mkdir("sessions", 0o777)
        os.chmod(folder / "sessions", 0o777)
        self.server = serve(configuration(folder, worker_mode), folder=folder)
        self.server.settled = {}
        self.root = folder / "site"


@pytest.fixture(scope="module", params=["classic", "worker mode"])
def site(request, module_folder, module_serve):
    if not worker("php"):
        pytest.skip("fivefold-php is not built")
    return Site(type(module_folder)(module_folder.mkdir(request.param.replace(" ", "-"))), module_serve, request.param == "worker mode")


class Client:
    """One that keeps its connection, and its cookies during one behaviour."""

    def __init__(self, site):
        self.site, self.connection, self.jar = site, None, {}

    def fill(self, value, number):
        """The row's value with what it stands for in this request."""
        if isinstance(value, str):
            if value == "<int {i}>":
                return number
            return value.replace("{i}", str(number)).replace("{root}", str(self.site.root)).replace("{port}", str(self.site.server.port))
        if isinstance(value, list):
            return [self.fill(each, number) for each in value]
        if isinstance(value, dict):
            return {key: self.fill(each, number) for key, each in value.items()}
        return value

    def ask(self, row, number):
        row = self.fill(row, number)
        method, target = row["request"].split(" ", 1)
        headers = row.get("headers", {})
        headers = [tuple(pair) for pair in (headers.items() if isinstance(headers, dict) else headers)]
        host = row.get("host", "localhost")
        if self.jar and not any(name == "Cookie" for name, _ in headers):
            headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items())))
        body = row.get("body_sent", "").encode()
        if "body_repeated" in row:
            body = row["body_repeated"][0].encode() * row["body_repeated"][1]
        if "form" in row:
            body, content = multipart(row["form"])
            headers.append(("Content-Type", "multipart/form-data; boundary=b0"))
        if "chunked" in row:
            headers.append(("Transfer-Encoding", "chunked"))
            body = chunked(*[piece.encode() for piece in row["chunked"]])
        if row.get("fresh"):
            self.close()
        if self.connection is None:
            self.connection = self.site.server.connect(timeout=60)
        self.connection.request(method, target, headers, body, host=host)
        if "leave" in row:
            response = self.connection.read_head()
            while len(self.connection.buffer) < row["leave"]:
                self.connection.fill(1e12)
            self.connection.reset()
            self.connection = None
            return
        response = self.connection.read_response(method)
        if response.get("connection", "").lower() == "close":
            self.close()
        for cookie in response.all("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.jar[name] = value
        if "upload" in row:
            assert response.text == f"Upload OK {len(content)} {hashlib.md5(content).hexdigest()} {row['upload']}"
            assert not os.path.exists(response["x-temporary"]), "the uploaded file goes with its request"
        if row.get("body_is_sent"):
            assert response.body == body
        check(row, response, self.site)

    def behave(self, behaviour, number):
        self.jar = {}
        for step in behaviour.get("steps", [behaviour]):
            self.ask({"host": behaviour.get("host", "localhost")} | step, number)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def multipart(form):
    parts, content = [], b""
    for name, value in form.items():
        if isinstance(value, dict):
            content = os.urandom(value["size"] // 2) + b"\r\n--b-" + os.urandom(value["size"] - value["size"] // 2 - 6)
            parts.append(f'--b0\r\nContent-Disposition: form-data; name="{name}"; filename="{value["name"]}"\r\n'
                         "Content-Type: application/octet-stream\r\n\r\n".encode() + content)
        else:
            parts.append(f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    return b"\r\n".join(parts) + b"\r\n--b0--\r\n", content


def check(row, response, site):
    told = f"{response!r}"
    assert response.status in row.get("any_status", [row.get("status", 200)]), told
    if "reason" in row:
        assert response.reason == row["reason"], told
    if "body" in row:
        assert response.text == row["body"], told
    if "body_file" in row:
        assert response.body == (site.root / row["body_file"]).read_bytes(), told
    if "body_of" in row:
        assert response.body == row["body_of"][0].encode() * row["body_of"][1]
    if "json" in row:
        assert response.json == row["json"], told
    if "lines" in row:
        assert dict(line.partition("=")[::2] for line in response.text.splitlines()) == row["lines"], told
    for part in row.get("has", []):
        assert part in response.text, f"{part!r} in {response.text!r}"
    for part in row.get("lacks", []):
        assert part not in response.text, f"{part!r} in {response.text!r}"
    if "matches" in row:
        assert re.search(row["matches"], response.text), told
    for name, value in row.get("fields", {}).items():
        assert response[name].lower() == value.lower(), told
    for name, count in row.get("repeated", {}).items():
        assert len(response.all(name)) == count, told
    for name in row.get("absent", []):
        assert name not in response, told
    if "pieces" in row:
        assert response.chunks == row["pieces"], f"in pieces of {response.chunks}"
    if "interim" in row:
        assert [(one.status, one["link"]) for one in response.interim] == [(row["interim"]["status"], row["interim"]["link"])], told


def check_log(site, behaviours):
    for row in behaviours:
        if "log" in row:
            site.server.wait_log(row["log"])
        if "log_lacks" in row:
            assert not re.search(row["log_lacks"], site.server.log_text())


def name_of(row):
    return f"{row['item']}: {row['name']}"


@pytest.mark.parametrize("row", DATA["behaviour"], ids=name_of)
def test_alone(site, row):
    if site.worker_mode and not row.get("worker", True):
        pytest.skip("worker mode has one script for all paths")
    client = Client(site)
    for number in (7, 8, 12345) if row.get("mixed", True) else (7,):
        client.behave(row, number)
    client.close()
    check_log(site, [row])


def test_a_hundred_clients_at_once(site):
    rows = [row for row in DATA["behaviour"] if row.get("mixed", True) and (row.get("worker", True) or not site.worker_mode)]
    faults, done = [], []

    def run(seed):
        chosen = random.Random(seed)
        client = Client(site)
        for round_ in range(ROUNDS):
            mine = chosen.sample(rows, len(rows))
            for row in mine:
                try:
                    client.behave(row, seed * 1000 + round_ * 100 + chosen.randrange(100))
                    done.append(row["name"])
                except AssertionError as fault:
                    faults.append(f"{name_of(row)}: {fault}"[:600])
                    client.close()
        client.close()

    clients = [threading.Thread(target=run, args=(seed,)) for seed in range(1, CLIENTS + 1)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    different = {fault.partition(": <")[0]: fault for fault in faults}
    assert not faults, f"{len(faults)} of {len(faults) + len(done)}:\n" + "\n".join(list(different.values())[:20])
    assert len(done) == CLIENTS * ROUNDS * len(rows)
    check_log(site, rows)
    crashes = {each["name"]: each["crashes"] for each in site.server.status()["programs"]}
    assert set(crashes.values()) == {0}, crashes
