"""One site for all tests of a module: a folder of CGI programs, a program of its own, files."""
import pytest

from harness.programs import ECHO_C

CONFIG = """
[[route]]
path = "/cgi-bin/*"
run = "scripts"
[[route]]
path = "/one/*"
run = "one"
[[route]]
path = "/indexed/*"
run = "indexed"
[[route]]
path = "/authorized/*"
run = "authorized"
[[route]]
path = "/impatient/*"
run = "impatient"
[[route]]
path = "/narrow/*"
run = "narrow"
[[route]]
path = "/careless/*"
run = "careless"
[[route]]
path = "/sendfile/*"
run = "sendfile"
[[route]]
path = "/by-suffix/*"
run = "by-suffix"
[[route]]
path = "/exact"
run = "one"
[[route]]
path = "/*"
files = "www"

[program.scripts]
model = "cgi"
root = "cgi-bin"
env = { APP_MODE = "test", PATH = "/usr/bin:/bin" }
[program.one]
model = "cgi"
script = "programs/echo"
[program.indexed]
model = "cgi"
root = "cgi-bin"
index_query = true
[program.authorized]
model = "cgi"
script = "programs/echo"
pass_authorization = true
[program.impatient]
model = "cgi"
root = "cgi-bin"
first_byte_timeout = "1s"
idle_timeout = "1s"
[program.narrow]
model = "cgi"
root = "cgi-bin"
concurrency = 2
queue = 3
queue_timeout = "1s"
[program.careless]
model = "cgi"
root = "cgi-bin"
on_disconnect = "continue"
[program.sendfile]
model = "cgi"
root = "cgi-bin"
xsendfile_root = "private"
[program.by-suffix]
model = "cgi"
root = "mixed"
extensions = [".cgi"]
"""


@pytest.fixture(scope="module")
def site(module_folder, module_serve):
    folder = module_folder
    folder.c("cgi-bin/echo", ECHO_C)
    folder.c("programs/echo", ECHO_C)
    folder.c("mixed/run.cgi", ECHO_C)
    folder.shell("mixed/other.sh", "echo no")
    folder.c("cgi-bin/sub/echo", ECHO_C)
    folder.write("cgi-bin/not-executable", "#!/bin/sh\necho secret source\n", 0o644)
    folder.script("cgi-bin/no-interpreter", "#!/no/such/interpreter\nsecret source\n")
    folder.write("www/page.html", "<p>page</p>\n")
    folder.write("private/report.pdf", b"%PDF private")
    folder.write("outside.txt", "outside\n")
    folder.mkdir("scratch", 0o777)
    return module_serve(CONFIG, environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SECRET_OF_THE_SERVER": "leaked", "HTTP_PROXY": "leaked"})


@pytest.fixture
def script(site):
    """script(name, line, ...) writes a shell program into cgi-bin and returns its path on the site."""
    def write(name, *lines, under="/cgi-bin"):
        site.folder.shell(f"cgi-bin/{name}", *lines)
        return f"{under}/{name}"
    return write
