"""A PHP site as a client sees it: scripts, files beside them, slow clients, the log."""
import time

from harness import processes


def test_scripts_and_files(php):
    php.write("index.php", "<?php http_response_code($_SERVER['REQUEST_URI'] === '/' ? 200 : 404); echo 'front ', $_SERVER['SCRIPT_NAME'];")
    php.write("style.css", "body {}")
    php.write("blog/index.php", "<?php echo 'blog ', $_SERVER['SCRIPT_NAME'];")
    php.write(".env", "SECRET=1")
    php.write("lib/db.inc", "<?php $password = 1;")
    php.write("uploads/evil.php", "<?php echo 'evil';")
    php.write("uploads/cat.txt", "cat")
    site = php('no_scripts = "uploads"')
    assert site.get("/").text == "front /index.php"
    assert site.get("/pretty/path").status == 404
    seen = site.get("/echo.php/a%20b?x=1").json
    assert seen["SCRIPT_NAME"] == "/echo.php" and seen["PATH_INFO"] == "/a b" and seen["QUERY_STRING"] == "x=1"
    assert seen["SCRIPT_FILENAME"] == str(php.root / "echo.php") and seen["DOCUMENT_ROOT"] == str(php.root)
    response = site.get("/style.css")
    assert response.text == "body {}" and response["content-type"].startswith("text/css") and "etag" in response
    response = site.get("/blog?x=1")
    assert response.status == 308 and response["location"] == "/blog/?x=1"
    assert site.get("/blog/").text == "blog /blog/index.php"
    for path in ("/.env", "/lib/db.inc", "/missing.php", "/uploads/evil.php", "/uploads/evil.php/x.css"):
        response = site.get(path)
        assert response.status in (403, 404) and "<?php" not in response.text and "evil" not in response.text, path
    assert site.get("/uploads/cat.txt").text == "cat"
    assert site.request("POST", "/style.css", body=b"x").status == 405


def test_links_that_lead_out_of_the_site(php):
    php.folder.write("elsewhere/shared.css", "body {}")
    php.folder.write("elsewhere/shared.php", "<?php echo 'shared ', $_SERVER['SCRIPT_NAME'];")
    php.root.joinpath("theme").symlink_to(php.folder / "elsewhere")
    php.root.joinpath("back").symlink_to(php.root)
    site = php()
    assert site.get("/back/hello.php").text == "hello", "beneath the root, though the link is absolute"
    for name in ("shared.css", "shared.php"):
        response = site.get(f"/theme/{name}")
        assert response.status == 403 and "elsewhere" not in response.text
        site.wait_log(rf"{response['x-request-id']} 403 /theme/{name}: .* leads out of .* by a symbolic link; symlinks = \"owner\"")
    site.configure(php.config('symlinks = "owner"'))
    assert site.command("reload").returncode == 0
    assert site.get("/theme/shared.css").text == "body {}"
    assert site.get("/theme/shared.php").text == "shared /theme/shared.php"


def test_a_slow_client_does_not_hold_a_worker(php):
    site = php("instances = 1")
    with site.connect(receive_buffer=4096) as slow:
        slow.request("GET", "/large.php?kb=900")
        slow.read_head()
        for _ in range(5):
            assert site.get("/hello.php", timeout=5).text == "hello"


def test_a_slow_upload_does_not_hold_a_worker(php):
    site = php("instances = 1")
    with site.connect() as slow:
        slow.request("POST", "/upload.php", [("Content-Length", "100000")])
        slow.send(b"x" * 50_000)
        for _ in range(5):
            assert site.get("/hello.php", timeout=5).text == "hello"
        slow.send(b"x" * 50_000)
        assert slow.read_response().text.split()[0] == "100000"


def test_a_client_that_leaves_frees_the_worker(php):
    site = php('instances = 1\ntimeout = "60s"')
    php.wait_workers(1)
    before = php.pids()
    for _ in range(3):
        connection = site.connect()
        connection.request("GET", "/forever.php")
        connection.read_head()
        connection.close()
        assert site.get("/hello.php", timeout=10).text == "hello"
    assert php.pids() == before, "it is the same worker"


def test_the_worker_used_last_gets_the_next_request(php):
    site = php("instances = 4")
    php.wait_workers(4)
    with site.connect() as connection:
        assert len({connection.exchange("GET", "/pid.php").text for _ in range(50)}) == 1


def test_idle_workers_end_and_come_back(php):
    site = php('instances = { min = 0, max = 4, idle_timeout = "300ms" }')
    assert site.get("/hello.php", timeout=10).text == "hello"
    processes.wait_for(lambda: not php.workers(), 10, lambda: f"no worker: {php.program()}")
    begun = time.monotonic()
    assert site.get("/hello.php", timeout=10).text == "hello"
    assert time.monotonic() - begun < 1, "the zygote is still there"


def test_log_and_status(php):
    site = php("instances = 2")
    assert site.get("/log.php").text == "logged"
    processes.wait_for(lambda: php.log_lines("a line of the log"), 5, "the line in the log")
    program = php.program()
    assert program["model"] == "module" and program["requests"] == 1
    assert {each["state"] for each in program["processes"]} == {"ready"}


def test_watch_replaces_workers_when_a_file_changes(php):
    site = php('instances = 1\nwatch = "site"')
    before = php.wait_workers(1)[0]["pid"]
    time.sleep(1.5)     # the first look of the watch
    php.write("new.php", "<?php echo 'new';")
    processes.wait_for(lambda: php.pids() and before not in php.pids(), 15, lambda: f"another worker: {php.program()}")
    assert site.get("/new.php").text == "new"


def test_check_says_that_a_worker_is_missing(folder):
    from harness.server import fivefold
    from module_harness import worker
    folder.mkdir("cgi")
    path = folder.write("fivefold.toml", '[[route]]\nrun = "p"\n[program.p]\nmodel = "module"\nlanguage = "perl"\nroot = "cgi"\n')
    done = fivefold("check", "--config", path)
    if worker("perl"):
        assert done.returncode == 0
        return
    assert done.returncode != 0
    assert "fivefold.toml:5" in done.stdout + done.stderr and "install the package fivefold-perl" in done.stdout + done.stderr
