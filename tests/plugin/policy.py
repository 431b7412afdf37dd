#!/usr/bin/env python3
"""Evaluates the policy of k8s/injection as the API server does when a pod is created.

    policy.py POLICY <PODS >PODS

PODS are pods as JSON, in a list. Each gets the API's defaults of what the policy looks at, then each mutation in its
order with the variables evaluated anew, and the whole policy once more, as a second binding or a reinvocation does:
the second time must change nothing.

What the API server has and the interpreter has not is here: the function `indexOf` of lists, and the type `JSONPatch`,
which is read as a map.
"""

import copy
import json
import re
import sys

import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

INDEX_OF = cel.FunctionDecl(
    "listIndexOf",
    [
        cel.Overload(
            "list_index_of",
            return_type=cel.Type.INT,
            parameters=[cel.Type.List(cel.Type.DYN), cel.Type.STRING],
            is_member=True,
            impl=lambda items, item: plain(items).index(plain(item)),
        )
    ],
)


def plain(value):
    return value.plain_value() if hasattr(value, "plain_value") else value


class Policy:
    """The expressions of a policy, compiled once."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            spec = yaml.safe_load(file)["spec"]
        self.env = cel.NewEnv(
            variables={"object": cel.Type.DYN, "variables": cel.Type.DYN},
            extensions=[ext_strings.ExtStrings()],
            functions=[INDEX_OF],
        )
        self.variables = [(one["name"], self.env.compile(readable(one["expression"]))) for one in spec["variables"]]
        self.mutations = [self.env.compile(readable(one["jsonPatch"]["expression"])) for one in spec["mutations"]]

    @staticmethod
    def evaluate(name, expression, pod, variables):
        data = {"object": pod, "variables": variables}
        value = expression.eval(data=data)
        if value.type() == cel.Type.ERROR:
            raise ValueError(f"{name}: {value.plain_value()}")
        return value.plain_value()

    def apply(self, pod):
        for mutation in self.mutations:
            variables = {}
            for name, expression in self.variables:
                variables[name] = self.evaluate(name, expression, pod, variables)
            for patch in self.evaluate("a mutation", mutation, pod, variables):
                apply_patch(pod, patch)
        return with_defaults(pod)


def readable(expression):
    """Replaces the constructor `JSONPatch{op: …}` by a map, and `indexOf`, which only strings have here."""
    expression = expression.replace("JSONPatch{", "{").replace(".indexOf(", ".listIndexOf(")
    return re.sub(r"([{,]\s*)(op|path|value):", r"\1'\2':", expression)


def apply_patch(pod, patch):
    """RFC 6902, as far as the policy needs it."""
    *way, last = [key.replace("~1", "/").replace("~0", "~") for key in patch["path"].split("/")[1:]]
    place = pod
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if isinstance(place, list):
        place.insert(len(place) if last == "-" else int(last), patch["value"])
    elif patch["op"] == "replace" and last not in place:
        raise KeyError(patch["path"])
    else:
        place[last] = patch["value"]


def with_defaults(pod):
    """The defaults of pkg/apis/core/v1/defaults.go, and no empty lists."""
    spec = pod["spec"]
    for field in ("initContainers", "volumes"):
        if not spec.get(field, True):
            del spec[field]
    for container in spec.get("initContainers", []) + spec["containers"]:
        for field in ("ports", "env"):
            if not container.get(field, True):
                del container[field]
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        for field in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container.get(field, True) is None:
                del container[field]
            elif field in container:
                set_defaults(container[field])
    return pod


def set_defaults(probe):
    numbers = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    for name, number in numbers.items():
        probe[name] = probe.get(name) or number
    if "httpGet" in probe:
        probe["httpGet"]["path"] = probe["httpGet"].get("path") or "/"
        probe["httpGet"].setdefault("scheme", "HTTP")
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def main():
    policy = Policy(sys.argv[1])
    pods = []
    for pod in json.load(sys.stdin):
        pods.append(policy.apply(with_defaults(pod)))
        again = policy.apply(copy.deepcopy(pods[-1]))
        if again != pods[-1]:
            sys.exit(f"{pod['metadata'].get('name')}: the second time changed it again")
    json.dump(pods, sys.stdout)


if __name__ == "__main__":
    main()
