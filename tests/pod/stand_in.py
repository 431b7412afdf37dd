"""The app of a manifest whose image is not here: serves what its native probes ask for.

Argument: its probes as a JSON list. Its mood is the word in /state/mood. `starting`: nothing listens; `well`; `failing`:
HTTP answers 500, gRPC says NOT_SERVING, and a port that is only connected to is shut; `hanging`: connections are taken
and not answered.
"""

import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import sys
import threading
import time
from concurrent import futures


def mood():
    return pathlib.Path("/state/mood").read_text()


def wait_while(*moods):
    while mood() in moods:
        time.sleep(0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes only the paths and headers of the probes."""

    def do_GET(self):
        wait_while("hanging")
        known = any(self.is_asked_for(request) for request in self.server.requests)
        self.send_response(200 if known and mood() == "well" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def is_asked_for(self, request):
        wanted = {}
        for header in request.get("httpHeaders", []):
            wanted.setdefault(header["name"], []).append(header.get("value", ""))
        same = all(self.headers.get_all(name) == values for name, values in wanted.items())
        return same and self.path == "/" + request.get("path", "").removeprefix("/")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    # Where a manifest gives one port to several containers, all of them serve it.
    allow_reuse_port = True

    def __init__(self, port, requests):
        super().__init__(("::", port), Handler)
        self.requests = requests
        if any(request.get("scheme") == "HTTPS" for request in requests):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("/state/tls.pem")
            self.socket = context.wrap_socket(self.socket, server_side=True)


def serve_grpc(port, services):
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    class Servicer(health_pb2_grpc.HealthServicer):
        def Check(self, request, context):
            wait_while("hanging")
            if request.service not in services:
                context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
            status = health_pb2.HealthCheckResponse
            return status(status=status.SERVING if mood() == "well" else status.NOT_SERVING)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    health_pb2_grpc.add_HealthServicer_to_server(Servicer(), server)
    server.add_insecure_port(f"[::]:{port}")
    server.start()
    server.wait_for_termination()


def take_connections(port):
    while True:
        wait_while("failing")
        with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
            listener.settimeout(0.05)
            while mood() != "failing":
                try:
                    listener.accept()[0].close()
                except TimeoutError:
                    pass


def serve(probes):
    ports = {}
    for probe in probes:
        for kind in ("httpGet", "grpc", "tcpSocket"):
            if kind in probe:
                kinds = ports.setdefault(probe[kind]["port"], {})
                kinds.setdefault(kind, []).append(probe[kind])
    for port, kinds in ports.items():
        if "httpGet" in kinds:
            yield Server(port, kinds["httpGet"]).serve_forever, ()
        elif "grpc" in kinds:
            yield serve_grpc, (port, {request.get("service", "") for request in kinds["grpc"]})
        else:
            yield take_connections, (port,)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
wait_while("starting")
for target, arguments in serve(json.loads(sys.argv[1])):
    threading.Thread(target=target, args=arguments, daemon=True).start()
while True:
    signal.pause()
