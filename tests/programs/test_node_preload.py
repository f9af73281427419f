"""What workers/node/preload.cjs does to Node.js applications of every style: they listen on the server's socket and notice nothing."""
import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from harness import processes
from harness.application import Application, free_port, needs, nobody_listens
from harness.server import REPOSITORY
from harness.wire import Connection

NODE = shutil.which("node")
PRELOAD = REPOSITORY / "workers" / "node" / "preload.cjs"
pytestmark = needs("node")


@pytest.fixture
def start(folder):
    started = []

    def start(text, name="app.js", environment=None, command=None):
        folder.write(name, text)
        started.append(Application(folder, command or [NODE, name], {"NODE_OPTIONS": f"--require {PRELOAD}", **(environment or {})}))
        return started[-1]

    yield start
    for application in started:
        application.stop()


HELLO = "(request, response) => response.end('hello ' + request.url)"
TELL = "() => console.log('listening ' + JSON.stringify(server.address()))"
SERVER = f"const server = require('http').createServer({HELLO});\n"
LISTENS = {
    "port": ("server.listen(PORT)", "::"),
    "port as text": ("server.listen(process.env.PORT)", "::"),
    "port and callback": ("server.listen(PORT, () => console.log('called back'))", "::"),
    "port and host": ("server.listen(PORT, '127.0.0.1')", "127.0.0.1"),
    "port, host, backlog, callback": ("server.listen(PORT, 'localhost', 5, () => console.log('called back'))", "127.0.0.1"),
    "port and backlog": ("server.listen(PORT, 5)", "::"),
    "options": ("server.listen({port: PORT, host: '0.0.0.0', exclusive: true}, () => console.log('called back'))", "0.0.0.0"),
    "callback alone": ("server.listen(() => console.log('called back'))", "::"),
    "nothing": ("server.listen()", "::"),
    "any port": ("server.listen(0)", "::"),
}


@pytest.mark.parametrize("form", LISTENS)
def test_every_form_of_listen_comes_to_the_socket(start, form):
    call, host = LISTENS[form]
    application = start(f"{SERVER}const PORT = +process.env.PORT;\nserver.on('listening', {TELL});\n{call};\n")
    assert application.get("/a?b").text == "hello /a?b"
    application.says('"port":%d' % application.port)
    assert f'"address":"{host}"' in application.output
    assert nobody_listens(application.port)
    if "called back" in call:
        application.says("called back")
    assert os.stat(application.socket).st_mode & 0o777 == 0o777, "whoever the application runs as, the server may connect"


def test_a_port_that_is_written_down_is_only_told(start):
    port = free_port()
    application = start(f"{SERVER}server.listen({port}, {TELL});\n")
    assert application.get().text == "hello /"
    application.says('"port":%d' % port)
    assert nobody_listens(port)


def test_a_path_of_its_own(start, folder):
    application = start(f"{SERVER}server.listen('{folder.path}/own.sock', {TELL});\n")
    assert application.get().text == "hello /"
    application.says(f'listening "{folder.path}/own.sock"')
    assert not (folder / "own.sock").exists()


def test_modules(start):
    application = start("import {createServer} from 'node:http';\nconst hello = await Promise.resolve('hello from a module');\n"
                        "createServer((request, response) => response.end(hello)).listen(process.env.PORT);\n", "app.mjs")
    assert application.get().text == "hello from a module"


def test_started_through_npm(start, folder):
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("not installed: npm")
    folder.write("package.json", json.dumps({"name": "x", "version": "1.0.0", "scripts": {"start": "node app.js"}}))
    application = start(f"{SERVER}server.listen(process.env.PORT);\n", command=[npm, "start"])
    assert application.get().text == "hello /"


def test_a_stale_socket_is_replaced(start, folder):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(folder / "socket"))
    application = start(f"{SERVER}server.listen(3000);\n")
    processes.wait_for(lambda: application.try_to_connect(), 10).close()
    assert application.get().text == "hello /"


def test_only_the_first_server_gets_the_socket(start):
    other = free_port()
    application = start(f"{SERVER}server.listen(process.env.PORT, () => require('http').createServer((request, response) => response.end('other')).listen({other}));\n")
    assert application.get().text == "hello /"
    assert application.get(address=("127.0.0.1", other)).text == "other"
    assert f"another server of this application listens on port {other}" in application.output


def test_the_server_for_port_comes_before_one_that_was_faster(start):
    other = free_port()
    application = start("const metrics = require('http').createServer((request, response) => response.end('metrics'));\n"
                        f"metrics.listen({other}, () => {{ {SERVER} server.listen(process.env.PORT, {TELL}); }});\n")
    application.says("listening")
    assert application.get().text == "hello /"
    assert application.get(address=("127.0.0.1", other)).text == "metrics"
    assert nobody_listens(application.port)


def test_a_search_for_a_free_port_takes_nothing(start):
    application = start("const probe = require('net').createServer();\n"
                        f"probe.listen(process.env.PORT, () => probe.close(() => {{ {SERVER} server.listen(process.env.PORT, {TELL}); }}));\n")
    application.says("listening")
    assert application.get().text == "hello /"


def test_a_server_that_listens_again_gets_the_socket_again(start):
    application = start(f"{SERVER}server.listen(8080, () => server.close(() => {{\n  console.log('closed ' + server.address());\n  server.listen(8081, {TELL});\n}}));\n")
    application.says('"port":8081')
    assert "closed null" in application.output
    assert application.get().text == "hello /"


def test_a_server_of_a_child_leaves_the_socket_alone(start):
    other = free_port()
    application = start(f"""
const {{fork}} = require('child_process');
if (process.argv[2]) {{
  require('http').createServer((request, response) => response.end('child')).listen({other});
}} else {{
  {SERVER}
  server.listen(process.env.PORT, () => fork(__filename, ['child']));
}}
""")
    assert application.get(address=("127.0.0.1", other)).text == "child"
    assert application.get().text == "hello /"
    assert "another process of this application has" in application.output


def test_cluster_workers_share_the_socket(start):
    application = start("""
const cluster = require('cluster');
if (cluster.isPrimary) {
  for (let count = 0; count < 2; ++count) cluster.fork();
} else {
  const server = require('http').createServer((request, response) => response.end(process.pid + ' ' + request.socket.remoteAddress));
  server.listen(process.env.PORT, () => console.log('worker listens on ' + server.address().port));
}
""")
    processes.wait_for(lambda: application.output.count(f"worker listens on {application.port}") == 2, 15, lambda: application.output)
    seen = {application.get("/", [("X-Forwarded-For", "192.0.2.7")]).text for _ in range(10)}
    assert len({text.split()[0] for text in seen}) == 2 and {text.split()[1] for text in seen} == {"192.0.2.7"}
    family = [processes.identity(pid) for pid in processes.children(application.process.pid)]
    application.process.terminate()
    assert application.process.wait(10) == 0
    processes.wait_gone(family)


def test_inherited_socket(folder):
    """With socket activation the socket that the server has opened already is used, and its path stays."""
    path = str(folder / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    folder.write("app.js", f"{SERVER}server.listen(process.env.PORT);\n")
    process = subprocess.Popen([NODE, "app.js"], cwd=folder.path, pass_fds=[3], preexec_fn=lambda: os.dup2(listener.fileno(), 3),
                               env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "FIVEFOLD_SOCKET": path, "NODE_OPTIONS": f"--require {PRELOAD}"})
    try:
        with Connection(path) as connection:
            assert connection.exchange("GET", "/").text == "hello /"
    finally:
        process.kill()
        process.wait()
        listener.close()


def test_remote_address_is_the_one_the_server_wrote(start):
    application = start("""
const server = require('http').createServer((request, response) => {
  const body = [request.socket.remoteAddress, request.connection.remoteAddress, request.socket.remoteFamily];
  response.on('finish', () => console.log('finished for ' + request.socket.remoteAddress));
  response.end(JSON.stringify(body));
});
server.on('upgrade', (request, socket) => {
  setImmediate(() => socket.end(`HTTP/1.1 101 Switching Protocols\\r\\nConnection: upgrade\\r\\nUpgrade: x\\r\\n\\r\\nfor ${socket.remoteAddress}`));
});
server.listen(3000);
""")
    with application.connect() as connection:
        assert connection.exchange("GET", "/", [("X-Forwarded-For", "198.51.100.1, 192.0.2.1")]).json == ["192.0.2.1", "192.0.2.1", "IPv4"]
        assert connection.exchange("GET", "/", [("X-Forwarded-For", "2001:db8::1")]).json == ["2001:db8::1", "2001:db8::1", "IPv6"]
        assert connection.exchange("GET", "/").json == ["127.0.0.1", "127.0.0.1", "IPv4"]
    application.says("finished for 192.0.2.1")
    application.says("finished for 2001:db8::1")
    with application.connect() as connection:
        connection.request("GET", "/", [("X-Forwarded-For", "192.0.2.2"), ("Connection", "Upgrade"), ("Upgrade", "x")])
        assert connection.read_head().status == 101
        connection.fill(time.monotonic() + 5)
        assert bytes(connection.buffer) == b"for 192.0.2.2"


def test_an_upgrade_without_a_listener_stays_a_request(start):
    application = start(f"{SERVER}const listener = () => 0;\nserver.on('upgrade', listener);\nserver.listen(3000);\nserver.removeListener('upgrade', listener);\n")
    response = application.get("/x", [("Connection", "Upgrade"), ("Upgrade", "x")])
    assert response.status == 200 and response.text == "hello /x"


def test_termination_lets_requests_finish(start):
    application = start("""
require('http').createServer((request, response) => {
  response.write('one ');
  process.once('message-of-the-test', () => response.end('two'));
}).listen(3000);
require('fs').watch(__dirname, (event, name) => name === 'go' && process.emit('message-of-the-test'));
""")
    idle = application.connect()
    with application.connect() as connection:
        connection.request("GET", "/")
        connection.read_head()
        application.process.terminate()
        processes.wait_for(lambda: not os.path.exists(application.socket), 5, "the socket to be closed")
        application.folder.write("go", "")
        stop = time.monotonic() + 5
        while b"two" not in connection.buffer:
            assert connection.fill(stop), "the response was cut"
        assert application.process.wait(10) == 0
    idle.close()


@pytest.mark.parametrize("exit_code", [0, 7])
def test_an_application_with_a_handler_of_its_own_keeps_it(start, exit_code):
    application = start(f"{SERVER}process.on('SIGTERM', () => {{ console.log('my own end'); process.exit({exit_code}); }});\nserver.listen(3000);\n")
    application.connect().close()
    application.process.terminate()
    assert application.process.wait(10) == exit_code
    assert "my own end" in application.output


def test_signal_exit_does_not_keep_it_alive(start):
    application = start(SERVER + """
// As the package signal-exit does it: its listener ends the process only when it is the only one.
process.__signal_exit_emitter__ = {count: 1};
process.on('SIGTERM', () => { if (process.listeners('SIGTERM').length === 1) process.kill(process.pid, 'SIGKILL'); });
server.listen(3000);
""")
    application.connect().close()
    application.process.terminate()
    assert application.process.wait(10) == 0


def test_tls_is_left_alone(start, folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"),
                    "-days", "1"], check=True, capture_output=True)
    application = start("const fs = require('fs');\nconst server = require('https').createServer({key: fs.readFileSync('key.pem'), cert: fs.readFileSync('certificate.pem')}, "
                        f"{HELLO});\nserver.listen(process.env.PORT, '127.0.0.1', {TELL});\n")
    application.says("listening")
    assert "a server with TLS listens on port" in application.output
    assert not os.path.exists(application.socket) and not nobody_listens(application.port)


def test_http2_without_tls(start, folder):
    application = start("const server = require('http2').createServer((request, response) => response.end('two'));\nserver.listen(3000);\n")
    application.connect().close()
    client = ("const s = require('http2').connect('http://x', {createConnection: () => require('net').connect(process.argv[1])});"
              "const r = s.request({':path': '/'}); r.setEncoding('utf8'); r.on('data', d => console.log(d)); r.on('end', () => s.close()); r.end();")
    done = subprocess.run([NODE, "-e", client, application.socket], capture_output=True, text=True, timeout=20)
    assert done.stdout == "two\n", done.stderr


def test_ready_is_told_when_the_server_waits_for_it(start):
    application = start(f"{SERVER}server.listen(3000);\nprocess.send('something else');\nprocess.send('ready', () => console.log('sent'));\n", environment={"FIVEFOLD_READY": "notify"})
    application.says("sent")
    assert application.ready_file.exists()


def test_process_send_is_left_alone_otherwise(start):
    application = start(f"{SERVER}server.listen(3000, () => console.log('send is ' + typeof process.send));\n")
    application.says("send is undefined")
    assert not application.ready_file.exists()


def test_wrong_arguments_are_refused_as_ever(start):
    application = start(SERVER + "for (const word of [70000, -1, 'x'.repeat(2) + '\\0', {}, {port: 'no'}]) {\n  try { server.listen(word); console.log('accepted'); server.close(); }"
                        " catch (error) { console.log(error.code); }\n}\nserver.listen(3000, () => { try { server.listen(3001); } catch (error) { console.log(error.code); } });\n")
    application.says("ERR_SERVER_ALREADY_LISTEN")
    assert application.get().text == "hello /"


def test_a_socket_that_cannot_be_used_breaks_nothing(start, folder):
    application = start(f"{SERVER}server.on('error', (error) => console.log('told: ' + error.code));\nserver.listen(process.env.PORT);\n",
                        environment={"FIVEFOLD_SOCKET": str(folder / "missing" / "socket")})
    application.says("told: E")


def test_without_the_server_nothing_changes(folder):
    folder.write("app.js", f"{SERVER}server.listen(0, '127.0.0.1', () => {{ console.log(server.address().address); server.close(); }});\n")
    done = subprocess.run([NODE, "--require", str(PRELOAD), "app.js"], cwd=folder.path, capture_output=True, text=True, timeout=20, env={"PATH": os.environ["PATH"]})
    assert done.stdout == "127.0.0.1\n" and done.stderr == ""
