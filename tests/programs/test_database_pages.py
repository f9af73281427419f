"""Adminer and phpMyAdmin, at a MariaDB of their own: sign in, list, run statements, export."""
import html
import re

import pytest

from harness.application import needs
from harness.browser import Browser, form
from harness.database import MariaDb
from harness.php_site import ROUTE, php_site

pytestmark = needs("/usr/sbin/mariadbd", "mariadb", "mariadb-install-db", "/usr/lib/php/20220829/mysqli.so")


@pytest.fixture(scope="module")
def database(module_folder):
    running = MariaDb(module_folder)
    try:
        running.start()
        running.create("shop")
        yield running
    finally:
        running.stop()


@needs("/usr/share/adminer/adminer.php")
def test_adminer(folder, serve, database):
    folder.mkdir("data/sessions")
    site, browser = php_site(folder, serve, f"""
root      = "/usr/share/adminer"
index     = "adminer.php"
try       = ["{{path}}/"]
files     = false
ini       = {{ "mysqli.default_socket" = "{database.socket}", "session.save_path" = "{folder.path}/data/sessions", upload_max_filesize = "8M" }}
instances = 2
""")
    page = browser.get("/")
    assert page.status == 200 and form(page, "auth[username]", "auth[password]")
    assert browser.get("/?file=default.css&version=4.8.1")["content-type"].startswith("text/css")
    for path in ("/compile.php", "/adminer/include/functions.inc.php", "/plugins/"):
        assert "<?php" not in browser.get(path).text
    signed = {"auth[driver]": "server", "auth[server]": "localhost", "auth[username]": "shop", "auth[db]": ""}
    wrong = browser.submit(page, {**signed, "auth[password]": "wrong"})
    assert "Access denied for user" in wrong.text
    page = browser.submit(wrong, {**signed, "auth[password]": "secret"})
    assert page.status == 200 and "username=shop" in page.url and ">shop<" in page.text and "MariaDB" in page.text
    at = "/?server=localhost&username=shop&db=shop"
    page = browser.get(f"{at}&sql=")
    statements = "CREATE TABLE goods (id INT PRIMARY KEY, name TEXT); INSERT INTO goods VALUES (1, 'tea & café'), (2, 'cups'); SELECT * FROM goods ORDER BY id;"
    page = browser.submit(page, {"query": statements, "limit": ""}, needs=("query", "token"))
    assert page.status == 200 and "tea &amp; café" in page.text and "cups" in page.text
    assert database.query("SELECT name FROM goods", "shop").split("\n")[:2] == ["tea & café", "cups"]
    assert "goods" in browser.get(at).text and "tea &amp; café" in browser.get(f"{at}&select=goods").text
    # A file of statements, as an upload.
    page = browser.get(f"{at}&import=")
    rows = ",".join(f"({number}, '{'x' * 100}')" for number in range(10, 5010))
    page = browser.submit(page, {"file": "Execute"}, needs=("token", "error_stops"), files=[("sql_file[]", "a.sql", "application/sql", f"INSERT INTO goods VALUES {rows};".encode())])
    assert page.status == 200 and "1 query executed OK" in page.text
    assert database.query("SELECT COUNT(*) FROM goods", "shop") == "5002\n"
    page = browser.get(f"{at}&dump=")
    exported = browser.submit(page, {"output": "text", "format": "csv", "data[]": "goods"}, needs=("output", "format", "token"))
    assert exported.status == 200 and "tea & café" in exported.text and len(exported.body) > 500_000
    assert "username=shop" not in Browser(site).get("/").text


@needs("/usr/share/phpmyadmin/index.php")
def test_phpmyadmin(folder, serve, database):
    folder.mkdir("data/sessions")
    site, browser = php_site(folder, serve, f"""
root      = "/usr/share/phpmyadmin"
symlinks  = "owner"
try       = ["{{path}}", "{{path}}/"]
ini       = {{ "mysqli.default_socket" = "{database.socket}", "session.save_path" = "{folder.path}/data/sessions" }}
instances = 2
""", routes="".join(f'[[route]]\npath = "/{name}/*"\ndeny = true\n' for name in ("libraries", "templates", "sql")) + ROUTE)
    page = browser.get("/")
    assert page.status == 200 and form(page, "pma_username", "pma_password", "token")
    parts = {html.unescape(link) for link in re.findall(r'(?:src|href)="((?:js|themes|index\.php\?route=/messages)[^"]+)"', page.text)}
    assert len(parts) > 10
    for link in parts:
        part = browser.get(browser.path_of(link, "/"))
        assert part.status == 200 and ("css" in part["content-type"] or "javascript" in part["content-type"] or "image" in part["content-type"]), link
    wrong = browser.submit(page, {"pma_username": "shop", "pma_password": "wrong"})
    assert "Access denied for user" in wrong.text
    page = browser.submit(browser.get("/"), {"pma_username": "shop", "pma_password": "secret"})
    assert page.status == 200 and "MariaDB" in page.text, page.text[:1000]
    assert "shop" in browser.get("/index.php?route=/server/databases").text
    token = re.search(r'token:"([0-9a-f]+)"', page.text)[1]
    answer = browser.post("/index.php?route=/import", {"db": "shop", "sql_query": "SELECT CONCAT('tea ', '& café') AS drink, 6 * 7;", "token": token, "ajax_request": "1", "is_js_confirmed": "0",
                                                          "sql_delimiter": ";", "server": "1"})
    assert answer.status == 200 and answer["content-type"].startswith("application/json"), answer.text[:500]
    assert answer.json["success"] and "tea &amp; café" in answer.json["message"] and ">42<" in answer.json["message"].replace("\n", "").replace(" ", "")
    assert "pma_username" in Browser(site).get("/").text
    assert not re.search("PHP (Fatal|Parse)", site.log_text()), site.log_text()[-2000:]
