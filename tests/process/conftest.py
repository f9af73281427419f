import pytest

CONFIG = """
[[route]]
path = "/cgi-bin/*"
run = "scripts"
[[route]]
path = "/metrics"
metrics = true
[[route]]
path = "/*"
files = "www"
[program.scripts]
model = "cgi"
root = "cgi-bin"
"""


@pytest.fixture
def config():
    return CONFIG


@pytest.fixture
def site(folder, serve):
    """site(server="", **keywords) starts a server of files and a few programs."""
    folder.write("www/hello.txt", "hello\n")
    folder.shell("cgi-bin/hello", r"printf 'Content-Type: text/plain\n\nhello from a program\n'")
    folder.shell("cgi-bin/sleep", "sleep ${QUERY_STRING:-1}", r"printf 'Content-Type: text/plain\n\nslept\n'")
    folder.shell("cgi-bin/tree", "sleep 60 & sh -c 'trap \"\" TERM HUP; sleep 60' &", "setsid sleep 60 &", r"printf 'Content-Type: text/plain\n\n'; echo started; sleep 60")

    def start(server="", config=CONFIG, **keywords):
        return serve(config, server, **keywords)

    return start
