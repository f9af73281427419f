"""Roundcube as Debian installs it: what a visitor sees before a mail server is asked."""
import html
import re
import sqlite3

from harness.application import needs
from harness.browser import Browser, form
from harness.php_site import ROUTE, php_site

SCHEMA = "/usr/share/roundcube/SQL/sqlite.initial.sql"
ROOT = "/var/lib/roundcube/public_html"
pytestmark = needs(f"{ROOT}/index.php", SCHEMA, "/usr/lib/php/20220829/pdo_sqlite.so")


def test_roundcube(folder, serve):
    for name in ("temp", "logs"):
        folder.mkdir(f"data/{name}")
    database = sqlite3.connect(folder / "data/mail.sqlite")
    database.executescript(open(SCHEMA).read())
    database.close()
    folder.write("conf/config.inc.php", f"""<?php
$config['db_dsnw'] = 'sqlite:///{folder.path}/data/mail.sqlite?mode=0640';
$config['imap_host'] = '127.0.0.1:1'; $config['product_name'] = 'Our mail'; $config['des_key'] = 'twenty-four characters!!';
$config['temp_dir'] = '{folder.path}/data/temp'; $config['log_dir'] = '{folder.path}/data/logs'; $config['log_driver'] = 'stdout';
""")
    for name in ("defaults.inc.php", "mimetypes.php"):
        folder.write(f"conf/{name}", open(f"/etc/roundcube/{name}", "rb").read())
    site, browser = php_site(folder, serve, f"""
root      = "{ROOT}"
symlinks  = "owner"
try       = ["{{path}}", "{{path}}/"]
env       = {{ ROUNDCUBE_CONFIG_DIR = "{folder.path}/conf" }}
instances = 2
""", routes=ROUTE)
    page = browser.get("/")
    assert page.status == 200 and "Our mail" in page.text and form(page, "_user", "_token") and "roundcube_sessid" in browser.cookies
    parts = {html.unescape(link) for link in re.findall(r'(?:src|href)="((?:skins|program|plugins|static\.php)[^"]+)"', page.text)}
    assert len(parts) > 8
    for link in parts:
        part = browser.get(browser.path_of(link, "/"))
        assert part.status == 200 and part.body and not part["content-type"].startswith("text/html"), link
    answer = browser.submit(page, {"_user": "ann", "_pass": "secret"}, needs=("_user",))
    assert answer.status in (200, 401) and form(answer, "_user"), "no mail server answers: it says so on its page"
    assert "Connection to storage server failed" in answer.text
    for path in ("/config/config.inc.php", "/program/include/iniset.php", "/SQL/sqlite.initial.sql", "/.htaccess"):
        found = Browser(site).get(path)
        assert "CREATE TABLE" not in found.text and "<?php" not in found.text and "des_key" not in found.text, path
    assert not re.search("PHP (Fatal|Parse)", site.log_text()), site.log_text()[-2000:]
