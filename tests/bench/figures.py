"""The figures, each a function that measures and adds its rows; how many turns and how long is decided here."""

import math
import os
import pathlib
import random
import socket
import statistics
import time

from programs import (BINARY, MEASURED, OTHERS, Answers, Blackbox, Haproxy, Sidecar, Target, floor, free_port, get,
                      wait_until, wrk)

TURNS = 5
# A 99th percentile is mostly the machine's, so that its median needs more of them.
TURNS_WITH_P99 = 11
RATE = 500
SECONDS = 4


def in_turns(turns=TURNS, **contenders):
    """Measures each contender once a turn; gives the values of each by its name."""
    values = {name: [] for name in contenders}
    for _ in range(turns):
        for name, measure in contenders.items():
            values[name].append(measure())
    return values


def liveness(count, target, period, stagger=True):
    """So many equal checks whose first runs are spread over their period."""
    variables = {"LIVENESS_PERIOD_SECONDS": f"{period:g}", "LIVENESS_TIMEOUT_SECONDS": "5"}
    for index in range(count):
        variables[f"LIVENESS_C{index}"] = target
        if stagger:
            variables[f"LIVENESS_C{index}_INITIAL_DELAY_SECONDS"] = f"{index * period / count:.4f}"
    return variables


def cost(program, runs, seconds=SECONDS):
    """Microseconds of CPU a run over some seconds, once the first second has passed."""
    time.sleep(1)
    cpu, count = program.cpu(), runs()
    time.sleep(seconds)
    return (program.cpu() - cpu) * 1e6 / (runs() - count)


def memory(table):
    """Proportional memory of all processes, 3 checks at 1 s, after a minute and after 100 000 requests."""
    three = """
backend three
    server web 127.0.0.1:{0} check inter 1s
backend tcp
    mode tcp
    server db 127.0.0.1:{0} check inter 1s
backend exec
    option external-check
    external-check command /bin/true
    server warm 127.0.0.1:{0} check inter 1s
"""
    with Target() as target:
        checks = {"LIVENESS_WEB": target.http, "READINESS_DB": target.tcp, "READINESS_WARM": "exec:/bin/true"}
        checks |= {"LIVENESS_PERIOD_SECONDS": "1", "READINESS_PERIOD_SECONDS": "1"}
        with Sidecar(checks) as ours, Haproxy(three.format(target.port)) as haproxy, Blackbox() as blackbox:
            programs = {"HAProxy": (haproxy, "/livez"), "blackbox": (blackbox, "/-/healthy")}
            for _ in range(60):
                for module, address in [("http", target.http), ("tcp", target.tcp[6:])]:
                    get(blackbox.port, f"/probe?module={module}&target={address}")
                time.sleep(1)
            for when in ["after 60 s", "after 100 000 requests"]:
                mine = ours.pss() / 1024
                table.value(f"memory {when}", [mine], "MiB", most=2.5)
                for name, (program, _) in programs.items():
                    table.ratio(f"memory {when}", [mine], name, [program.pss() / 1024], "MiB", most=0.2)
                for program, path in [(ours, "/livez"), *programs.values()]:
                    answered = 0
                    while when == "after 60 s" and answered < 100_000:
                        answered += 2 * wrk(program.port, path, "-c8", seconds=2)[0]


def memory_per_check(table):
    """What one more check costs, its 60 remembered runs included."""
    sizes = {}
    with Target() as target:
        for count in (10, 10_000):
            with Sidecar(liveness(count, target.http, 2)) as ours:
                wait_until(lambda: ours.runs() >= 61 * count, seconds=300, pause=5)
                sizes[count] = ours.pss()
    table.value("memory per further check", [(sizes[10_000] - sizes[10]) / 9_990], "KiB", most=4)


def binary(table):
    """The stripped static binary with everything in."""
    table.value("binary", [os.stat(BINARY).st_size / 1e6], "MB", most=3)


def http(table):
    """CPU of one HTTP check at 500 runs a second."""
    with Target() as target:
        backend = "backend web\n    option httpchk GET /\n" + haproxy_servers(target.port)
        costs = in_turns(
            ours=lambda: checks_cost(target.http, target.count),
            floor=lambda: floor_cost("http-floor", f"127.0.0.1:{target.port}", "/"),
            resetting=lambda: floor_cost("http-floor", f"127.0.0.1:{target.port}", "/", last="reset"),
            haproxy=lambda: haproxy_cost(backend, target.count),
            blackbox=lambda: blackbox_cost(target))
    table.ratio("CPU of an HTTP check", costs["ours"], "floor", costs["floor"], "us", most=1.5)
    table.ratio("CPU of an HTTP check", costs["ours"], "HAProxy", costs["haproxy"], "us", most=1)
    table.ratio("CPU of an HTTP check", costs["ours"], "blackbox", costs["blackbox"], "us", most=1)
    forbidden_by(table, "HTTP", costs)


def tcp(table):
    """CPU of one TCP check at 500 runs a second."""
    with Target() as target:
        backend = "backend db\n    mode tcp\n" + haproxy_servers(target.port)
        costs = in_turns(
            ours=lambda: checks_cost(target.tcp, target.count),
            floor=lambda: floor_cost("tcp-floor", f"127.0.0.1:{target.port}"),
            resetting=lambda: floor_cost("tcp-floor", f"127.0.0.1:{target.port}", last="reset"),
            # It resets a connection before the target could accept it: what is due is taken for done.
            haproxy=lambda: haproxy_cost(backend, lambda: time.monotonic() * RATE))
    table.ratio("CPU of a TCP check", costs["ours"], "floor", costs["floor"], "us", most=1.5)
    table.ratio("CPU of a TCP check", costs["ours"], "HAProxy", costs["haproxy"], "us", most=1)
    forbidden_by(table, "TCP", costs)


def forbidden_by(table, kind, costs):
    """Why HAProxy is out of reach: the least program that says farewell costs more, the least that resets does not."""
    for name, floor_costs in [("floor", costs["floor"]), ("floor with resets", costs["resetting"])]:
        table.ratio(f"the {kind} {name} itself", floor_costs, "HAProxy", costs["haproxy"], "us")


def execute(table):
    """CPU of one exec check of /bin/true at 500 runs a second, the command's own included."""
    costs = in_turns(ours=lambda: checks_cost("exec:/bin/true"), floor=lambda: floor_cost("exec-floor", "/bin/true"))
    table.ratio("CPU of an exec check", costs["ours"], "floor", costs["floor"], "us", most=1.3)


def checks_cost(target, count=None):
    """Our cost of a run."""
    with Sidecar(liveness(5, target, 5 / RATE)) as ours:
        return cost(ours, count or ours.runs)


def floor_cost(name, *arguments, last=""):
    """The same for a floor."""
    runs = RATE * SECONDS
    return floor(name, *arguments, RATE, runs, *last.split()) * 1e6 / runs


def haproxy_servers(port):
    """Five servers whose checks are 500 runs a second."""
    return "".join(f"    server s{index} 127.0.0.1:{port} check inter {5000 // RATE}ms\n" for index in range(5))


def haproxy_cost(backend, count):
    """HAProxy's cost of a run."""
    with Haproxy(backend) as haproxy:
        return cost(haproxy, count)


def blackbox_cost(target):
    """Its runs are asked for one by one, at a fifth of the rate."""
    with Blackbox() as blackbox:
        floor("http-floor", f"127.0.0.1:{blackbox.port}", f"/probe?module=http&target={target.http}", RATE // 5, 50)
        cpu, count = blackbox.cpu(), target.count()
        path = f"/probe?module=http&target={target.http}"
        floor("http-floor", f"127.0.0.1:{blackbox.port}", path, RATE // 5, SECONDS * RATE // 5)
        return (blackbox.cpu() - cpu) * 1e6 / (target.count() - count - 1)


def livez(table):
    """Answering /livez on one core: over kept connections, over fresh ones, and to one caller as a kubelet is.

    Eight callers with fresh connections give wrk more to do than any server, and the more, the more often a server
    that has nothing to do must be woken: how many come per second is then wrk's figure, and has no goal.
    """
    fresh = ["-H", "Connection: close"]
    for kind, options in [("kept", ["-c8"]), ("fresh", ["-c8", *fresh]), ("one by one", ["-c1", *fresh])]:
        with Target() as target, Sidecar(liveness(1, target.tcp, 1)) as ours, Haproxy() as haproxy, Answers() as bare:
            programs = {"ours": ours, "HAProxy": haproxy, "bare hyper": bare}
            loads = {name: lambda p=program: load(p, "/livez", options) for name, program in programs.items()}
            found = in_turns(TURNS_WITH_P99, **loads)
        pick = lambda who, index: [values[index] for values in found[who]]
        for name, least in [("HAProxy", 1), ("bare hyper", 0.9)]:
            per_second = None if kind == "fresh" else least
            table.ratio(f"/livez, {kind}: per CPU second", pick("ours", 0), name, pick(name, 0), "k", least=least)
            table.ratio(f"/livez, {kind}: per second", pick("ours", 1), name, pick(name, 1), "k", least=per_second)
            table.ratio(f"/livez, {kind}: p99", pick("ours", 2), name, pick(name, 2), "ms", most=1)
        table.value(f"/livez, {kind}: wrk's core in use", pick("ours", 3), "%")


def load(program, path, options):
    """Thousands of answers per CPU second and per second, the 99th percentile in milliseconds, and wrk's own part."""
    cpu, seconds = program.cpu(), 2
    rate, p99, busy = wrk(program.port, path, *options, seconds=seconds)
    return rate * seconds / (program.cpu() - cpu) / 1000, rate / 1000, p99, busy


def metrics(table):
    """Scrapes of 200 checks a second on one core."""
    with Target() as target, Sidecar(liveness(200, target.http, 10)) as ours:
        wait_until(lambda: ours.runs() >= 200, seconds=30)
        with Answers(len(get(ours.port, "/metrics")[1])) as bare:
            found = in_turns(ours=lambda: load(ours, "/metrics", ["-c2"]), bare=lambda: load(bare, "/", ["-c2"]))
    for index, what in enumerate(["per CPU second", "per second"]):
        rates, floors = ([values[index] for values in found[who]] for who in ("ours", "bare"))
        # At most 15 ms each.
        table.value(f"/metrics, 200 checks: {what}", rates, "k", least=1 / 15)
        table.ratio(f"/metrics, 200 checks: {what}", rates, "as many bytes by bare hyper", floors, "k")


def detection(table):
    """From the death of a target to a red /readyz, 100 times."""
    delays, port = [], free_port()
    checks = {"READINESS_DB": f"tcp://127.0.0.1:{port}", "READINESS_PERIOD_SECONDS": "0.1",
              "READINESS_FAILURE_THRESHOLD": "1"}
    with Sidecar(checks) as ours, socket.create_connection(("127.0.0.1", ours.port)) as line:
        def status():
            line.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            return line.recv(65536)[9:12]
        for _ in range(100):
            listener = socket.create_server(("127.0.0.1", port), backlog=100)
            wait_until(lambda: status() == b"200", pause=0.005)
            time.sleep(random.uniform(0, 0.1))
            died = time.monotonic()
            listener.close()
            wait_until(lambda: status() == b"503", pause=0.0003)
            delays.append((time.monotonic() - died) * 1000)
    table.value("detection at a period of 100 ms: median", [statistics.median(delays)], "ms")
    table.value("detection at a period of 100 ms: p99", [statistics.quantiles(delays, n=100)[98]], "ms", most=105)


def schedule(table):
    """How late 1 000 checks at 1 s begin on one core: the share that is at most 5 ms late."""
    for what, stagger, least in [("spread over the second", True, 99), ("all due at once", False, None)]:
        with Target() as target, Sidecar(liveness(1000, target.http, 1, stagger)) as ours:
            time.sleep(3)
            before = delays(ours)
            time.sleep(20)
            after = delays(ours)
        share = 100 * (after["0.005"] - before["0.005"]) / (after["+Inf"] - before["+Inf"])
        table.value(f"schedule, {what}: at most 5 ms late", [share], "%", least=least)


def delays(ours):
    """How many runs began at most so late, by the bound."""
    name = "health_proxy_schedule_delay_seconds_bucket"
    return {bound: ours.metric(rf'{name}.*le="{bound}"'.replace("+", r"\+")) for bound in ("0.005", "+Inf")}


def scale(table):
    """CPU of 100, 1 000 and 10 000 HTTP checks at 1 s on one core."""
    found = {}
    for count in (100, 1_000, 10_000):
        with Target() as target, Sidecar(liveness(count, target.http, 1)) as ours:
            time.sleep(4)
            cpu, runs, begin = ours.cpu(), ours.runs(), time.monotonic()
            time.sleep(15)
            seconds = time.monotonic() - begin
            share = (ours.runs() - runs) / seconds / count
            found[count] = (ours.cpu() - cpu) / seconds
            failures = ours.failures()
        table.value(f"scale: {count} checks: CPU", [100 * found[count]], "% of a core")
        table.value(f"scale: {count} checks: runs held", [100 * share], "%", least=99)
        table.value(f"scale: {count} checks: failures", [failures], "", most=0)
    exponent = math.log(found[10_000] / found[100]) / math.log(100)
    table.value("scale: exponent of CPU by checks", [exponent], "", most=1.05)


def ports(table):
    """600 connections a second to one address for a minute."""
    with Target() as target:
        checks = liveness(60, target.tcp, 0.1)
        checks |= {f"LIVENESS_C{index}": target.http for index in range(0, 60, 2)}
        with Sidecar(checks) as ours:
            time.sleep(61)
            table.value("600 connections/s for 60 s: failures", [ours.failures()], "", most=0)
            table.value("600 connections/s for 60 s: runs", [ours.runs()], "", least=36_000)


def start(table):
    """From exec to the first answer, and to a green /readyz with one passing check."""
    with Target() as target:
        for path, name, most in [("/livez", "the first answer", 5), ("/readyz", "/readyz 200", 10)]:
            times = [start_once(target.tcp, path) for _ in range(100)]
            table.value(f"start to {name}: median", [statistics.median(times)], "ms", most=most)
            table.value(f"start to {name}: p90", [statistics.quantiles(times, n=10)[8]], "ms")


def start_once(check, path):
    """Milliseconds from exec to 200."""
    port = free_port()
    env = {"HEALTH_PROXY_LISTEN": f"127.0.0.1:{port}", "HEALTH_PROXY_LOG": "warn", "READINESS_DB": check}
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    output = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    begin = time.monotonic()
    process = os.posix_spawn(BINARY, [BINARY], env, file_actions=output)
    line, answer = socket.socket(), b""
    while line.connect_ex(("127.0.0.1", port)):
        line.close()
        line = socket.socket()
    while answer[9:12] != b"200":
        line.sendall(request)
        answer = line.recv(65536)
    took = (time.monotonic() - begin) * 1000
    line.close()
    os.kill(process, 15)
    os.waitpid(process, 0)
    return took


def idle(table):
    """Wake-ups of all threads while no check is due."""
    with Sidecar({"LIVENESS_X": "file:/", "LIVENESS_PERIOD_SECONDS": "3600"}) as ours:
        time.sleep(12)
        before = ours.wakeups()
        time.sleep(10)
        table.value("idle: wake-ups", [(ours.wakeups() - before) / 10], "a second", most=1)


ALL = {"memory": memory, "memory-per-check": memory_per_check, "binary": binary, "http": http, "tcp": tcp,
       "exec": execute, "livez": livez, "metrics": metrics, "detection": detection, "schedule": schedule,
       "scale": scale, "ports": ports, "start": start, "idle": idle}
