"""Applications that somebody else starts: whether they are well, and what happens when none is."""
import http.server
import socketserver
import ssl
import subprocess
import threading

import pytest

from harness import processes


class Neighbour:
    """An HTTP server on a port of 127.0.0.1, with TLS where there is a certificate; `status` is what its /health answers."""

    def __init__(self, port=0, certificate=None):
        neighbour = self
        self.status = 200
        self.asked = []         # the Host of each health check

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_GET(self):
                if self.path == "/health":
                    neighbour.asked.append(self.headers["Host"])
                data = str(neighbour.port).encode()
                self.send_response(neighbour.status if self.path == "/health" else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

            def get_request(self):
                connection, address = super().get_request()
                if not certificate:
                    return connection, address
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*certificate)
                connection.settimeout(5)
                return context.wrap_socket(connection, server_side=True), address

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join(5)
        self.server = None


@pytest.fixture
def neighbours():
    made = []

    def make(*arguments, **keywords):
        made.append(Neighbour(*arguments, **keywords))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def route_to(addresses, settings):
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f'[[route]]\npath = "/*"\nrun = "other"\n[program.other]\nmodel = "app"\naddress = [{listed}]\nkeep_alive = "0s"\n{settings}\n'


def states(site):
    return [each["state"] for each in site.status()["programs"][0]["processes"]]


@pytest.mark.parametrize("scheme", ["", "https://"], ids=["by name", "by name over TLS"])
def test_the_health_of_a_named_address_is_asked_for(folder, serve, neighbours, scheme):
    certificate = None
    if scheme:
        certificate = (folder / "certificate.pem", folder / "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(certificate[1]), "-out", str(certificate[0])],
                       check=True, capture_output=True)
    neighbour = neighbours(certificate=certificate)
    tls = f'tls = {{ ca = "{certificate[0]}" }}\n' if scheme else ""
    site = serve(route_to([f"{scheme}localhost:{neighbour.port}"], tls + 'health = { path = "/health", interval = "100ms", failures = 2 }'))
    assert site.get("/").text == str(neighbour.port)
    processes.wait_for(lambda: neighbour.asked, 10, "a health check")
    assert set(neighbour.asked) == {f"localhost:{neighbour.port}"}
    neighbour.status = 500
    site.wait_log("its health check failed 2 times: GET /health was answered with status 500")
    assert states(site) == ["ejected"]
    neighbour.status = 200
    site.wait_log("is well again")
    assert states(site) == ["ready"]
    neighbour.stop()
    site.wait_log("its health check failed 2 times: .*connect")


@pytest.mark.parametrize("verified", [True, False], ids=["a certificate of nobody", "no TLS at all"])
def test_a_health_check_shakes_hands(folder, serve, neighbours, verified):
    certificate = (folder / "certificate.pem", folder / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-keyout", str(certificate[1]), "-out", str(certificate[0])], check=True, capture_output=True)
    neighbour = neighbours(certificate=certificate if verified else None)
    site = serve(route_to([f"https://127.0.0.1:{neighbour.port}"], 'health = { path = "/health", interval = "100ms", timeout = "1s", failures = 1 }'))
    site.wait_log("its health check failed 1 time: ")
    assert not neighbour.asked and states(site) == ["ejected"]


def test_addresses_that_all_rest_are_tried_all_the_same(serve, neighbours):
    one, other = neighbours(), neighbours()
    site = serve(route_to([f"127.0.0.1:{each.port}" for each in (one, other)],
                          'eject_failures = 1\nhealth = { path = "/health", interval = "1h" }'))     # only requests tell
    ports = {str(each.port) for each in (one, other)}
    assert site.get("/").text in ports
    one.stop()
    other.stop()
    processes.wait_for(lambda: site.get("/", timeout=20).status == 502 and states(site) == ["ejected"] * 2, 10, lambda: f"both to rest: {states(site)}")
    assert site.get("/", timeout=20).status == 502
    back = neighbours(port=other.port)
    assert [site.get("/", timeout=20).text for _ in range(4)] == [str(back.port)] * 4
