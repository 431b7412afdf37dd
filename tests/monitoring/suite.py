"""The suite: what can be seen in the files, then what a real Prometheus makes of them."""

import os
import re
import subprocess
import sys

import yaml

import files
import inhibition
import live


class Results:
    """Counts and prints; `found` is shown only with a failure."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, ok, found=""):
        """Takes down one result."""
        if ok:
            self.passed += 1
        else:
            self.failed += 1
        print(f"ok    {name}" if ok else f"FAIL  {name}\n      {found}", flush=True)

    def command(self, name, *command):
        """A command that must end with 0."""
        done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True)
        self.check(name, done.returncode == 0, done.stdout + done.stderr)
        return done.stdout


def main():
    """Runs everything; the exit status says whether all of it passed."""
    if sys.argv[1:] == ["--write"]:
        files.OPERATOR_FILE.write_text(files.operator_object())
        return
    results = Results()
    results.command("promtool check rules", "promtool", "check", "rules", files.RULE_FILE)
    results.command("promtool test rules", "promtool", "test", "rules", "tests/monitoring/rules_test.yaml")
    alerts_have_tests(results)
    alerts_have_texts(results)
    manifests(results)
    dashboard(results)
    inhibition.suite(results)
    live.suite(results, os.environ["HEALTH_PROXY_BIN"])
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(1 if results.failed else 0)


def alerts_have_tests(results):
    """Each alert, at each severity, has a case that fires and one that stays silent."""
    tests = yaml.safe_load((files.ROOT / "tests/monitoring/rules_test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    fires = {(case["alertname"], alert["exp_labels"]["severity"]) for case in cases for alert in case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    alerts = {(alert["alert"], alert["labels"]["severity"]) for alert in files.ALERTS}
    results.check("each alert has a case that fires", alerts == fires, alerts ^ fires)
    results.check("each alert has a case that stays silent", {name for name, _ in alerts} == silent, silent)
    expressions = " ".join(case["expr"] for test in tests for case in test.get("promql_expr_test", []))
    untested = {record for record in files.RECORDS if record not in expressions}
    results.check("each recording rule has a test", not untested, untested)


def alerts_have_texts(results):
    """Each alert says what, where and how bad, and its runbook section exists."""
    readme = (files.MONITORING / "README.md").read_text()
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", readme, re.M)}
    for alert in files.ALERTS:
        texts = alert["annotations"]
        page, _, anchor = texts.get("runbook_url", "").partition("#")
        ok = (
            set(texts) == {"summary", "description", "runbook_url"}
            and alert["labels"]["severity"] in ("warning", "critical")
            and page.endswith("/k8s/monitoring/README.md")
            and anchor == alert["alert"].lower()
            and anchor in anchors
        )
        results.check(f"{alert['alert']} ({alert['labels']['severity']}) has its texts and a runbook", ok, texts)


def manifests(results):
    """The operator's objects are whole and hold the same rules and dashboard as the plain files."""
    same = files.OPERATOR_FILE.read_text() == files.operator_object()
    results.check("prometheusrule.yaml is rules.yaml", same, "run tests/monitoring/run --write")
    rendered = results.command("kubectl kustomize", "kubectl", "kustomize", "k8s/monitoring")
    objects = {found["kind"]: found for found in yaml.safe_load_all(rendered)}
    kinds = {"ConfigMap", "PodMonitor", "PrometheusRule"}
    results.check("it renders a PodMonitor, the rules and the dashboard", set(objects) == kinds, set(objects))
    rules = objects["PrometheusRule"]["spec"] == yaml.safe_load(files.RULE_FILE.read_text())
    results.check("the rendered rules are those of rules.yaml", rules)
    results.check("the PodMonitor labels pods as scrape-config.yaml does", *same_labels(objects["PodMonitor"]))
    shipped = list(objects["ConfigMap"]["data"].values()) == [(files.MONITORING / "dashboard.json").read_text()]
    results.check("the rendered dashboard is dashboard.json", shipped)


def same_labels(monitor):
    """Whether both ways of scraping make the same labels by the same rules, and what differs."""
    camel = lambda name: re.sub("_(.)", lambda found: found[1].upper(), name)
    job = yaml.safe_load((files.MONITORING / "scrape-config.yaml").read_text())["scrape_configs"][0]
    plain = [{camel(key): value for key, value in rule.items()} for rule in job["relabel_configs"]]
    own = [rule for rule in plain if rule.get("targetLabel") in ("node", "workload")]
    operator = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]
    return operator[1:] == own and operator[0]["targetLabel"] == "job", operator


def dashboard(results):
    """What Grafana needs in order to import the dashboard into any installation."""
    found = files.DASHBOARD
    variables = [variable["name"] for variable in found["templating"]["list"]]
    results.check("dashboard variables", variables == ["datasource", *files.VARIABLES], variables)
    silent = [panel["title"] for panel in found["panels"] if panel["type"] != "row" and not panel.get("description")]
    results.check("every panel has a description", not silent, silent)
    ids = [panel["id"] for panel in found["panels"]]
    results.check("panel ids are unique", len(ids) == len(set(ids)), ids)
    targets = [target for panel in found["panels"] for target in panel.get("targets", [])]
    fixed = [target["expr"] for target in targets if target["datasource"]["uid"] != "${datasource}"]
    results.check("every query asks the chosen data source", targets and not fixed, fixed)
    careless = [target["expr"] for target in targets if not respects_choices(target["expr"])]
    results.check("every query respects the choice of cluster, job, namespace, pod and instance", not careless, careless)
    cells = [
        (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy)
        for panel in found["panels"]
        for dx in range(panel["gridPos"]["w"])
        for dy in range(panel["gridPos"]["h"])
    ]
    results.check("panels do not overlap", len(cells) == len(set(cells)) and max(cells)[0] < 24)
    unknown = {
        name for _, query in files.dashboard_queries() for name in files.metric_names(query) if ":" in name
    } - files.RECORDS
    results.check("every recorded series of the dashboard is recorded", not unknown, unknown)


def respects_choices(expression):
    """Whether each selector has a matcher for each variable; recorded series know no pod and no instance."""
    selectors = re.findall(r"([\w:]+)\{([^}]*)\}", expression)
    wanted = lambda series: files.VARIABLES[:3] if ":" in series else files.VARIABLES[:5]
    respects = [f'{name}=~"${name}"' in matchers for series, matchers in selectors for name in wanted(series)]
    return bool(respects) and all(respects) and len(selectors) == len(re.findall(r"\b(?:health_proxy|process)_\w+|\bup\b", expression))


if __name__ == "__main__":
    main()
