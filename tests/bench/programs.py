"""The programs that are measured: how each is started, what it costs, and how it is ended."""

import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

BINARY = os.environ["HEALTH_PROXY_BIN"]
FLOORS = pathlib.Path(os.environ["FLOORS"])
HOME = tempfile.TemporaryDirectory(prefix="health-proxy-bench-")

# What is measured has the last core to itself; load and targets run on the others.
CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHERS = {CORES[-1]}, set(CORES[:-1]) or {CORES[-1]}


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def get(port, path):
    """Status and body of one request."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_until(condition, seconds=10, pause=0.02):
    """Polls; a condition that does not come true in time is a failure of the bench."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        time.sleep(pause)


class Program:
    """A running program with all its descendants."""

    def __init__(self, *command, cores=MEASURED, env=None):
        pin = lambda: os.sched_setaffinity(0, cores)
        self.process = subprocess.Popen(
            [str(word) for word in command], env=env, preexec_fn=pin,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def listening(self, port):
        """Waits until it accepts on `port`."""
        def accepts():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        wait_until(accepts)
        return self

    def pids(self):
        """Its own and all descendants' process ids."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self):
        """CPU seconds so far: exact for what runs, in clock ticks for children that have ended."""
        total = 0.0
        for pid in self.pids():
            try:
                for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                    total += int(thread.read_text().split()[0]) / 1e9
                ended = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[13:15]
                total += sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")
            except (FileNotFoundError, ProcessLookupError):
                pass  # A command that has just ended counts with its parent.
        return total

    def pss(self):
        """Proportional memory in KiB."""
        return sum(self._lines(pid, "smaps_rollup", "Pss")[0] for pid in self.pids())

    def wakeups(self):
        """How often its threads have waited."""
        return sum(sum(self._lines(f"{pid}/task/{task}", "status", "voluntary_ctxt_switches"))
                   for pid in self.pids() for task in os.listdir(f"/proc/{pid}/task"))

    @staticmethod
    def _lines(pid, file, name):
        text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
        return [int(number) for number in re.findall(rf"^{name}:\s+(\d+)", text, re.M)]


class Target(Program):
    """The server that every check asks."""

    def __init__(self, cores=OTHERS):
        self.port = free_port()
        super().__init__(FLOORS / "target", f"127.0.0.1:{self.port}", cores=cores)
        self.listening(self.port)

    @property
    def http(self):
        """As a target of health-proxy."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def tcp(self):
        """As a target of health-proxy."""
        return f"tcp://127.0.0.1:{self.port}"

    def count(self):
        """Connections so far."""
        return int(get(self.port, "/count")[1])


class Sidecar(Program):
    """health-proxy with the given checks: `{variable: value}`."""

    def __init__(self, variables, cores=MEASURED):
        self.port = free_port()
        own = {"HEALTH_PROXY_LISTEN": f"127.0.0.1:{self.port}", "HEALTH_PROXY_LOG": "warn"}
        super().__init__(BINARY, cores=cores, env=own | variables)
        self.listening(self.port)
        get(self.port, "/livez")

    def metric(self, pattern):
        """The sum of all series whose line matches."""
        body = get(self.port, "/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines() if re.match(pattern, line))

    def runs(self):
        """How many runs have ended."""
        return self.metric("health_proxy_check_runs_total")

    def failures(self):
        """How many of them failed."""
        return self.metric(r'health_proxy_check_runs_total.*result="(failure|timeout)"')


class Haproxy(Program):
    """HAProxy on one thread: `monitor-uri` on its port, and checks given as lines of a backend."""

    def __init__(self, backend=""):
        self.port = free_port()
        file = pathlib.Path(HOME.name, f"haproxy-{self.port}.cfg")
        file.write_text(f"""
global
    nbthread 1
    spread-checks 0
    external-check
    insecure-fork-wanted
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 1s
    timeout check 1s
frontend answers
    bind 127.0.0.1:{self.port}
    monitor-uri /livez
{backend}
""")
        super().__init__("haproxy", "-f", file)
        self.listening(self.port)


class Blackbox(Program):
    """The blackbox exporter with its own default modules."""

    def __init__(self):
        self.port = free_port()
        file = pathlib.Path(HOME.name, "blackbox.yml")
        file.write_text("modules: {http: {prober: http}, tcp: {prober: tcp}}\n")
        super().__init__("prometheus-blackbox-exporter", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{self.port}",
                         env=os.environ | {"GOMAXPROCS": "1"})
        self.listening(self.port)


class Answers(Program):
    """The bare hyper server that answers `ok`, or so many bytes."""

    def __init__(self, *bytes):
        self.port = free_port()
        super().__init__(FLOORS / "answer-floor", f"127.0.0.1:{self.port}", *bytes)
        self.listening(self.port)


def floor(name, *arguments):
    """CPU seconds of a floor, its start and its children included."""
    command = [str(FLOORS / name), *map(str, arguments)]
    process = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, MEASURED))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} failed")
    return usage.ru_utime + usage.ru_stime


def wrk(port, path, *options, seconds=3):
    """Requests a second, the 99th percentile in milliseconds, and how much of its own core wrk needed, in percent."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = ["wrk", "-t1", "--latency", f"-d{seconds}s", *options, f"http://127.0.0.1:{port}{path}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, OTHERS)).stdout
    if "Non-2xx" in output:
        raise RuntimeError(output)
    after, elapsed = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begin
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], 100 * used / elapsed
