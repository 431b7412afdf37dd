"""A real Alertmanager with the shipped inhibit_rules is told of alerts, and asked which of them it holds back."""

import contextlib
import json
import pathlib
import re
import tempfile

import yaml

import files
from pods import free_port, get, post, process, wait_for

# What fires, and whether it is held back; of ours as the rules label it, of kubernetes-mixin as that does.
SHOP, POD = {"namespace": "shop"}, {"namespace": "shop", "pod": "web-1", "workload": "web"}
ALERTS = [
    ({"alertname": "HealthProxyAppDown", **SHOP, "workload": "web"}, False),
    ({"alertname": "HealthProxyNotReady", **POD}, True),
    ({"alertname": "HealthProxyNotReady", **POD, "pod": "db-0", "workload": "db"}, False),
    ({"alertname": "HealthProxyNotReady", **POD, "namespace": "bank"}, False),
    ({"alertname": "HealthProxyLivenessFailing", **POD}, False),
    ({"alertname": "KubePodNotReady", **SHOP, "pod": "web-1"}, True),
    ({"alertname": "KubePodNotReady", **SHOP, "pod": "other-1"}, False),
    ({"alertname": "HealthProxyLivenessFailing", **POD, "pod": "db-1", "workload": "db"}, False),
    ({"alertname": "HealthProxyNotReady", **POD, "pod": "db-1", "workload": "db"}, True),
    ({"alertname": "HealthProxyIncarnationsLooping", **POD}, False),
    ({"alertname": "KubePodCrashLooping", **SHOP, "pod": "web-1", "container": "web"}, True),
    ({"alertname": "KubePodCrashLooping", **SHOP, "pod": "web-1", "container": "health-proxy"}, False),
    ({"alertname": "KubeDeploymentReplicasMismatch", **SHOP, "deployment": "web", "workload": "web"}, True),
    ({"alertname": "KubeDeploymentReplicasMismatch", **SHOP, "deployment": "db", "workload": "db"}, False),
    ({"alertname": "KubeDeploymentReplicasMismatch", **SHOP, "deployment": "unlabelled"}, False),
    ({"alertname": "HealthProxyAppDown", "namespace": "none"}, False),
    ({"alertname": "KubeDeploymentReplicasMismatch", "namespace": "none", "deployment": "a"}, False),
    ({"alertname": "KubeNodeNotReady", "node": "n1"}, False),
    ({"alertname": "HealthProxyDown", **POD, "node": "n1", "job": "health-proxy"}, True),
    ({"alertname": "HealthProxyDown", **POD, "pod": "web-2", "node": "n2", "job": "health-proxy"}, False),
    ({"alertname": "TargetDown", **SHOP, "job": "health-proxy"}, True),
    ({"alertname": "TargetDown", **SHOP, "job": "app"}, False),
]


def suite(results):
    """Names, then what a server makes of the rules."""
    rules = yaml.safe_load(files.INHIBIT_FILE.read_text())["inhibit_rules"]
    named = set(re.findall(r"HealthProxy\w+", json.dumps(rules)))
    unknown = named - {alert["alert"] for alert in files.ALERTS}
    results.check("every alert of ours in inhibit-rules.yaml exists", named and not unknown, unknown)
    with tempfile.TemporaryDirectory() as folder, alertmanager(folder, rules) as address:
        status, body = post(f"http://{address}/api/v2/alerts", [{"labels": labels} for labels, _ in ALERTS])
        results.check("alertmanager takes the alerts", status == 200, body)
        expected = {json.dumps(labels, sort_keys=True): held for labels, held in ALERTS}
        with contextlib.suppress(TimeoutError):
            wait_for("inhibition", lambda: held_back(address) == expected, 15)
        found = held_back(address)
        wrong = [labels for labels, held in expected.items() if found.get(labels) != held]
        results.check("it holds back what is said already, and nothing else", not wrong and found == expected, wrong)


def held_back(address):
    """Whether each alert is inhibited, by its labels."""
    alerts = json.loads(get(f"http://{address}/api/v2/alerts")[1] or "[]")
    return {json.dumps(alert["labels"], sort_keys=True): bool(alert["status"]["inhibitedBy"]) for alert in alerts}


@contextlib.contextmanager
def alertmanager(folder, rules):
    """A server that tells nobody; gives its address."""
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}], "inhibit_rules": rules}
    pathlib.Path(folder, "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
    with process(f"{folder}/alertmanager.log", "prometheus-alertmanager", *options) as child:
        ready = lambda: child.poll() is not None or get(f"http://{address}/-/ready")[0] == 200
        wait_for("alertmanager", ready, 20)
        if child.poll() is not None:
            raise RuntimeError(pathlib.Path(folder, "alertmanager.log").read_text())
        yield address
