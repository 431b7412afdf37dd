"""Sidecars in every state are scraped by a Prometheus with the shipped job and rules; then everything is asked."""

import collections
import contextlib
import os
import re
import signal
import sys
import tempfile

import files
from pods import app, get, prometheus, sidecar, wait_for, worker_of

GONE = "127.77.0.4:9"
SERIES_OF_A_CHECK = 26


def suite(results, binary):
    """The whole of it in a folder of its own; ends what it started, on SIGTERM too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        target = stack.enter_context(app())
        running = lambda name, checks: stack.enter_context(sidecar(binary, folder, name, checks))
        start = lambda name, checks: running(name, checks)[0]
        addresses = {name: start(name, checks) for name, checks in pods(target).items()}
        secure = certificate(stack, start, folder)
        addresses |= secure
        addresses["replaced"], replaced = running("replaced", {"LIVENESS_WEB": f"http://{target}/ok"})
        begin_incarnation(addresses["healthy"])
        results.check("drain is accepted", get(f"http://{addresses['drained']}/drain", method="POST")[0] == 200)
        server = stack.enter_context(prometheus(folder, discovered(addresses)))
        scraped = lambda: {labels["pod"] for labels, _ in server.query("health_proxy_build_info")}
        wait_for("a scrape of each", lambda: scraped() >= set(addresses))
        for _ in range(5):
            begin_incarnation(addresses["healthy"])
        os.kill(worker_of(replaced), signal.SIGKILL)
        targets(results, server, addresses)
        names(results, addresses, secure)
        cardinality(results, start, target, addresses)
        queries(results, server, secure)
        verdicts(results, server)
        rules(results, server, secure)


def pods(target):
    """Variables of each sidecar, by the name of its pod."""
    ok, fail = f"http://{target}/ok", f"http://{target}/fail"
    return {
        "healthy": {
            "LIVENESS_WEB": ok,
            "READINESS_WEB": ok,
            "STARTUP_WEB": "exec:true",  # no witness contradicts a kubelet that asks again
            "READINESS_EXTRA": fail,
            "READINESS_EXTRA_REQUIRED": "false",
        },
        "failing": {"LIVENESS_WEB": ok, "READINESS_DB": "tcp://127.0.0.1:1", "READINESS_WEB": ok},
        "flapping": {"LIVENESS_WEB": ok, "READINESS_WEB": f"http://{target}/flap", "READINESS_FAILURE_THRESHOLD": "1"},
        "starting": {"STARTUP_WEB": fail, "STARTUP_FAILURE_THRESHOLD": "100000", "READINESS_WEB": ok},
        "slow": {
            "READINESS_HUNG": f"http://{target}/hung",
            "READINESS_HUNG_TIMEOUT_SECONDS": "0.1",
            "READINESS_SLOW": f"http://{target}/slow",
            "READINESS_SLOW_TIMEOUT_SECONDS": "0.5",
        },
        "drained": {"LIVENESS_WEB": ok, "READINESS_WEB": ok},
    }


def certificate(stack, start, folder):
    """A sidecar that is shown a certificate, by its name; none while https is no target of this binary."""
    target = stack.enter_context(app(folder))
    try:
        return {"secure": start("secure", {"READINESS_WEB": f"https://{target}/ok"})}
    except RuntimeError as refused:
        if "https" not in str(refused):
            raise
        return {}


def begin_incarnation(address):
    """Asks as the kubelet does: the request after a passed one begins a new incarnation, which then starts too."""
    kubelet = lambda: get(f"http://{address}/startupz", agent="kube-probe/1.36")[0]
    wait_for("startup", lambda: kubelet() == 200)
    wait_for("a new incarnation", lambda: kubelet() == 503)
    wait_for("startup of the new incarnation", lambda: get(f"http://{address}/startupz")[0] == 200)


# The app of each pod, as its labels must say.
WORKLOADS = {
    "healthy": "shop",
    "slow": "shop",
    "drained": "shop",
    "failing": "db",
    "flapping": "report",
    "starting": "model",
    "replaced": "agent",
}


def controller(pod):
    """What discovery says of the controller of a pod, of each kind."""
    kind, name, labels = {
        "healthy": ("ReplicaSet", "shop-7c9d6b5f4", {"pod_template_hash": "7c9d6b5f4"}),
        "slow": ("ReplicaSet", "shop-7c9d6b5f4", {"pod_template_hash": "7c9d6b5f4"}),
        "drained": ("ReplicaSet", "shop-5d8f", {"rollouts_pod_template_hash": "5d8f"}),
        "failing": ("StatefulSet", "db", {}),
        "flapping": ("Job", "report-29123456", {}),
        "starting": ("ReplicaSet", "model", {}),
        "replaced": ("DaemonSet", "agent", {}),
    }.get(pod, ("", "", {}))
    labels = {f"pod_label_{key}": value for key, value in labels.items()}
    return ({"pod_controller_kind": kind, "pod_controller_name": name} if kind else {}) | labels


def discovered(addresses):
    """What discovery says of our pods, and of five that are annotated, gone, finished or another program's."""

    def pod(name, address, port="", annotations=(), phase="Running"):
        labels = {"namespace": "suite", "pod_name": name, "pod_container_port_name": port, "pod_phase": phase}
        labels |= {"pod_node_name": "node-1"} | controller(name)
        labels["pod_ip"] = address.rsplit(":", 1)[0].strip("[]")
        labels |= {f"pod_annotation_prometheus_io_{key}": value for key, value in annotations}
        return {"targets": [address], "labels": {f"__meta_kubernetes_{key}": value for key, value in labels.items()}}

    ours, other = [("scrape", "true"), ("port", "9809")], [("scrape", "true"), ("port", "8080")]
    return [pod(name, address, "health-proxy", other) for name, address in addresses.items()] + [
        pod("annotated", "127.77.0.1:80", "http", ours),
        pod("annotated", "127.77.0.1:9809", "health-proxy", ours),
        pod("annotated-v6", "[::ffff:127.77.0.1]:80", "", ours),
        pod("gone", GONE, "health-proxy"),
        pod("finished", "127.77.0.2:9809", "health-proxy", phase="Succeeded"),
        pod("other", "127.77.0.3:8080", "http", other),
    ]


def targets(results, server, addresses):
    """The shipped job takes the right pods, each once, at the right address."""
    active = server.api("targets", state="active")["activeTargets"]
    found = sorted((target["labels"]["pod"], target["scrapeUrl"]) for target in active)
    expected = addresses | {"annotated": "127.77.0.1:9809", "annotated-v6": "[::ffff:127.77.0.1]:9809", "gone": GONE}
    expected = sorted((pod, f"http://{address}/metrics") for pod, address in expected.items())
    results.check("the job scrapes each pod once, at the right address", found == expected, found)
    keys = {"instance", "job", "namespace", "node", "pod", "workload"}
    results.check("targets carry namespace, pod and node", all(set(target["labels"]) == keys for target in active), active)
    apps = {target["labels"]["pod"]: target["labels"]["workload"] for target in active}
    right = {pod: WORKLOADS.get(pod, pod) for pod in apps}
    results.check("targets carry the app that they are pods of", apps == right, apps)


def names(results, addresses, seen):
    """Every metric that the rules and the dashboard name is one that the sidecars give."""
    text = "".join(get(f"http://{address}/metrics")[1] for address in addresses.values())
    given = set(re.findall(r"^([a-z_]+)", text, re.M))
    used = {name for rule in files.RULES for name in files.metric_names(rule["expr"])}
    used |= {name for _, query in files.dashboard_queries() for name in files.metric_names(query)}
    missing = {name for name in used if ":" not in name and (seen or "tls_certificate" not in name)} - given
    results.check("every metric that is used exists", not missing, missing)


def cardinality(results, start, target, addresses):
    """No check costs more series than stated, counted by its labels and by what twenty more add."""
    for name, address in addresses.items():
        series = re.findall(r'\{.*check="([^"]*)".*probe="([^"]*)"', get(f"http://{address}/metrics")[1])
        most = max(series.count(check) for check in series)
        results.check(f"at most {SERIES_OF_A_CHECK} series a check: {name}", most <= SERIES_OF_A_CHECK, most)
    checks = [{f"READINESS_WEB_{n}": f"http://{target}/ok" for n in range(count)} for count in (1, 21)]
    pages = [get(f"http://{start(f'with-{len(some)}', some)}/metrics")[1] for some in checks]
    one, more = (len([line for line in page.splitlines() if not line.startswith("#")]) for page in pages)
    results.check(
        f"20 more checks add at most {20 * SERIES_OF_A_CHECK} series to {one}",
        more - one <= 20 * SERIES_OF_A_CHECK,
        more,
    )


def queries(results, server, seen):
    """Every query of the dashboard and every recording rule has data; those of certificates where one was seen."""
    asked = list(files.dashboard_queries()) + [(f"record {record}", record) for record in sorted(files.RECORDS)]
    empty = dict(asked)

    def all_have_data():
        for where in list(empty):
            if server.query(empty[where]):
                del empty[where]
        return all("tls_certificate" in query for query in empty.values()) and (not seen or not empty)

    with contextlib.suppress(TimeoutError):
        wait_for("data for every query", all_have_data)
    for where, query in asked:
        certificate = "tls_certificate" in query and not seen
        name = f"{where} is answered" if certificate else f"{where} has data"
        results.check(name, certificate or where not in empty, query)


def verdicts(results, server):
    """The table that answers "which pods are not ready, and why?" says what was done to each pod."""
    panel = next(panel for panel in files.DASHBOARD["panels"] if panel.get("title", "").startswith("Now: every check"))
    why = files.filled(panel["targets"][0]["expr"])
    expected = {
        ("healthy", "readiness", "extra", "failing, not required"),
        ("failing", "readiness", "db", "failing"),
        ("starting", "startup", "web", "failing"),
        ("starting", "readiness", "web", "waits for startup"),
        ("slow", "readiness", "hung", "failing"),
        ("drained", "readiness", "", "draining or shutting down"),
    }

    def found():
        rows = [labels for labels, _ in server.query(why)]
        rows = {(row["pod"], row["probe"], row.get("check", ""), row["why"]) for row in rows}
        return {row for row in rows if row[0] != "flapping"}

    with contextlib.suppress(TimeoutError):
        wait_for("the table of reasons", lambda: found() == expected, 15)
    results.check("the dashboard says which pods are not ready, and why", found() == expected, found())


def rules(results, server, seen):
    """All rules evaluate, and the alerts begin to count for the right pods and checks only."""
    loaded = [rule for group in server.api("rules")["groups"] for rule in group["rules"]]
    broken = [(rule["name"], rule["lastError"]) for rule in loaded if rule["health"] != "ok"]
    results.check(f"all {len(loaded)} rules evaluate", len(loaded) == len(files.RULES) and not broken, broken)
    expected = {
        "HealthProxyNotReady": {"failing", "slow", "drained"},
        "HealthProxyAppDown": {"db"},
        "HealthProxyManyPodsNotReady": {"shop"},
        "HealthProxyNotStarted": {"starting"},
        "HealthProxyIncarnationsLooping": {"healthy"},
        "HealthProxyCheckFlapping": {"flapping"},
        "HealthProxyCheckTimeouts": {"slow"},
        "HealthProxyCheckSlow": {"slow"},
        "HealthProxyDown": {"gone"},
        "HealthProxyWorkerReplaced": {"replaced"},
    } | ({"HealthProxyCertificateExpiry": set(seen)} if seen else {})

    # Anybody may listen where the annotated pods are said to be; a flapping check is ready now and then; a busy machine is slow.
    unsure = collections.defaultdict(
        set,
        HealthProxyDown={"annotated", "annotated-v6"},
        HealthProxyNotReady={"flapping"},
        HealthProxyAppDown={"report"},
        HealthProxyCheckTimeouts=WORKLOADS.keys() - {"slow"},
    )

    def found():
        counting = [alert["labels"] for alert in server.api("alerts")["alerts"]]
        return {
            name: {labels.get("pod", labels.get("workload")) for labels in counting if labels["alertname"] == name} - unsure[name]
            for name in {labels["alertname"] for labels in counting}
        }

    with contextlib.suppress(TimeoutError):
        wait_for("the alerts", lambda: found() == expected, 20)
    results.check("alerts count for the right pods", found() == expected, found())
