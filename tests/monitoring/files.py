"""Reads k8s/monitoring: the rules, the dashboard, and the names of metrics in their expressions."""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "k8s/monitoring"
RULE_FILE = MONITORING / "rules.yaml"
OPERATOR_FILE = MONITORING / "prometheusrule.yaml"
INHIBIT_FILE = MONITORING / "inhibit-rules.yaml"
OPERATOR_HEAD = """\
# Made from rules.yaml by `tests/monitoring/run --write`; change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: health-proxy
spec:
"""
RULES = [rule for group in yaml.safe_load(RULE_FILE.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())

# The dashboard's variables, but for the data source, and what Grafana puts in for them at "All".
VARIABLES = ["cluster", "job", "namespace", "pod", "instance", "probe", "check"]
GRAFANA = {"$__rate_interval": "10s", "$__range": "30s"} | {f"${name}": ".*" for name in VARIABLES}


def operator_object():
    """The PrometheusRule: rules.yaml, from its groups on, indented below `spec`."""
    text = RULE_FILE.read_text()
    groups = text[text.index("\ngroups:") + 1 :]
    return OPERATOR_HEAD + "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(True))


def dashboard_queries():
    """(where, PromQL) of every panel, annotation and variable, as Grafana would send it."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r} {target['refId']}", filled(target["expr"])
    for annotation in DASHBOARD["annotations"]["list"]:
        if "expr" in annotation:
            yield f"annotation {annotation['name']!r}", filled(annotation["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            yield f"variable {variable['name']!r}", f"count by ({label}) ({filled(series)})"


def filled(expression):
    """The expression with Grafana's variables filled in, the longest name first."""
    for name in sorted(GRAFANA, key=len, reverse=True):
        expression = expression.replace(name, GRAFANA[name])
    return expression


def metric_names(expression):
    """The sidecar's own metrics and the recorded series that an expression reads."""
    words = re.findall(r"[a-zA-Z_][\w:]*", re.sub(r'"(\\.|[^"\\])*"', "", expression))
    return {word for word in words if word.startswith(("health_proxy_", "process_")) or ":" in word}
