"""The real parts: an app that fails on purpose, sidecars that watch it, and a Prometheus that scrapes them."""

import contextlib
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

import files


class App(http.server.BaseHTTPRequestHandler):
    """`/ok` passes, `/fail` fails, `/flap` changes every 1.5 seconds, `/slow` takes 0.4 seconds, `/hung` an hour."""

    closing = threading.Event()

    def do_GET(self):
        """Answers one request by its path."""
        wait = {"/slow": 0.4, "/hung": 3600}.get(self.path, 0)
        flapping = self.path == "/flap" and time.monotonic() % 3 < 1.5
        if wait and self.closing.wait(wait):
            return
        self.send_response(500 if flapping or self.path == "/fail" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


@contextlib.contextmanager
def app(folder=None):
    """Serves `App` and gives its address; over TLS with a certificate made in `folder`, if there is one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    if folder:
        made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=localhost")
        subprocess.run(
            (*made, "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"), check=True, capture_output=True
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a sidecar that times out hangs up on us
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        App.closing.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def process(log, *command, env=None):
    """A process with its output in a file, ended on the way out."""
    with open(log, "w") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port():
    """A port of loopback that nobody had a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url, agent="suite", method="GET"):
    """Status and body; status 0 while nobody answers."""
    return ask(urllib.request.Request(url, headers={"User-Agent": agent}, method=method))


def post(url, value):
    """Sends a value as JSON; gives status and body."""
    head = {"Content-Type": "application/json"}
    return ask(urllib.request.Request(url, json.dumps(value).encode(), head, method="POST"))


def ask(request):
    """Status and body; status 0 while nobody answers."""
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def wait_for(what, condition, seconds=45):
    """Polls until the condition gives something true, and gives it; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds} seconds")
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def sidecar(binary, folder, name, checks):
    """A sidecar with these variables and a short period; gives its address and its process once it answers."""
    address = f"127.0.0.1:{free_port()}"
    env = {"PATH": os.environ["PATH"], "HEALTH_PROXY_LISTEN": address} | checks
    env |= {
        f"{probe}_PERIOD_SECONDS": "0.2"
        for probe in ("LIVENESS", "READINESS", "STARTUP")
        if any(c.startswith(probe) for c in checks)
    }
    if any(check.startswith("LIVENESS") for check in checks):
        env["LIVENESS_FAILURE_THRESHOLD"] = "30"  # a busy machine is no near miss
    with process(f"{folder}/{name}.log", binary, env=env) as child:
        healthy = lambda: child.poll() is not None or get(f"http://{address}/-/healthy")[0] == 200
        wait_for(f"sidecar {name}", healthy, 10)
        if child.poll() is not None:
            raise RuntimeError(f"sidecar {name} ended: {pathlib.Path(folder, f'{name}.log').read_text()}")
        yield address, child


def worker_of(supervisor):
    """The process that does the work of a sidecar."""
    return int(pathlib.Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text())


class Prometheus:
    """A client of one Prometheus server."""

    def __init__(self, address):
        self.address = address

    def api(self, path, **arguments):
        """`data` of an answer of the API; an error of a query is raised with its text."""
        status, body = get(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        if status != 200:
            raise ValueError(f"{status} {body}")
        return json.loads(body)["data"]

    def query(self, expression):
        """The series of an instant query, as (labels, value)."""
        found = self.api("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]


@contextlib.contextmanager
def prometheus(folder, discovered):
    """A server with the shipped job and rules; `discovered` stands for what Kubernetes would have told."""
    config = yaml.safe_load((files.MONITORING / "scrape-config.yaml").read_text())
    job = config["scrape_configs"][0]
    del job["kubernetes_sd_configs"]
    job["static_configs"] = discovered
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(files.RULE_FILE)]
    with open(f"{folder}/prometheus.yml", "w") as output:
        yaml.safe_dump(config, output)
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    )
    with process(f"{folder}/prometheus.log", "prometheus", "--log.level=warn", *options) as child:
        ready = lambda: child.poll() is not None or get(f"http://{address}/-/ready")[0] == 200
        wait_for("prometheus", ready, 20)
        if child.poll() is not None:
            raise RuntimeError(pathlib.Path(folder, "prometheus.log").read_text())
        yield Prometheus(address)
