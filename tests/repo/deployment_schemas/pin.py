"""Writes the schemas in this folder anew: `PYTHONPATH=. python tests/repo/deployment_schemas/pin.py`.

Each comes from who publishes it, in a version that is named here: read the difference before you check it in. Without
descriptions, which are most of their size, and closed: a property that they do not name is a mistake.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sluice.local.artefacts import parse_coordinate
from sluice.local.maven import download, runtime_jars
from sluice.local.runtime import java

HERE = Path(__file__).parent
KUBERNETES = "1.37.0"
KINDS = (
    "configmap-v1",
    "deployment-apps-v1",
    "job-batch-v1",
    "namespace-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
)
STRIMZI = "1.2.0"
MODELS = {"Kafka": "kafka", "KafkaNodePool": "nodepool", "KafkaTopic": "topic", "KafkaUser": "user"}
PACKAGES = {"compose": "check-jsonschema==0.39.0", "kubernetes": f"kubernetes-validate=={KUBERNETES}"}
MONITORING = ("PodMonitor", "PrometheusRule")
OPERATOR = "cloudcoil.models.prometheus_operator==0.80.1.0"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        write("compose-spec.json", compose_specification(installed(scratch, PACKAGES["compose"])))
        write("kubernetes.json", kubernetes(installed(scratch, PACKAGES["kubernetes"])))
        write("strimzi.json", strimzi(scratch))
        write("monitoring.json", monitoring(installed(scratch, OPERATOR, dependencies=True)))


def compose_specification(packages: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((packages / "check_jsonschema/builtin_schemas/vendor/compose-spec.json").read_text())


def kubernetes(packages: Path) -> dict[str, Any]:
    """By kind, with the definitions that they need."""
    folder = packages / f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    roots = [json.loads((folder / f"{kind}.json").read_text()) for kind in KINDS]
    needed: dict[str, Any] = {}
    waiting = [name for root in roots for name in references(root)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting += references(definitions[name])
    kinds = {root["properties"]["kind"]["enum"][0]: inward(root) for root in roots}
    return {"kinds": kinds, "$defs": {name: inward(needed[name]) for name in sorted(needed)}}


def strimzi(scratch: Path) -> dict[str, Any]:
    """By kind: what Strimzi's own generator makes of its published model."""
    roots = [parse_coordinate(f"io.strimzi:{name}:{STRIMZI}:jar") for name in ("crd-generator", "api")]
    jars = [download(jar, scratch / str(n)) for n, jar in enumerate(runtime_jars(roots, scratch / "resolve"))]
    files = {kind: scratch / f"{kind}.yaml" for kind in MODELS}
    models = [f"io.strimzi.api.kafka.model.{MODELS[kind]}.{kind}={file}" for kind, file in files.items()]
    generator = [java(), "-cp", ":".join(map(str, jars)), "io.strimzi.crdgenerator.CrdGenerator", "--yaml"]
    subprocess.run([*map(str, generator), *models], check=True)
    found = {}
    for kind, file in files.items():
        (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
        assert version["name"] == "v1"
        found[kind] = closed(version["schema"]["openAPIV3Schema"])
    return {"kinds": found}


def monitoring(packages: Path) -> dict[str, Any]:
    """By kind, with the definitions that they need."""
    kinds: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for kind in MONITORING:
        code = f"from cloudcoil.models.prometheus_operator.v1 import {kind} as P; import json; "
        printed = subprocess.run(
            [sys.executable, "-c", code + "print(json.dumps(P.model_json_schema(by_alias=True)))"],
            check=True,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(packages)},
        ).stdout
        schema = json.loads(printed)
        definitions |= {name: closed(one) for name, one in schema.pop("$defs").items()}
        kinds[kind] = closed(schema)
        kinds[kind]["properties"] |= {"metadata": {"type": "object"}, "status": {"type": "object"}}
    return {"kinds": kinds, "$defs": definitions}


def installed(scratch: Path, package: str, *, dependencies: bool = False) -> Path:
    target = scratch / package.split("==", maxsplit=1)[0]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), package]
    subprocess.run([*command, *([] if dependencies else ["--no-deps"])], check=True)
    return target


def references(schema: object) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].split("/")[-1]] if isinstance(schema.get("$ref"), str) else []
        return own + [name for value in schema.values() for name in references(value)]
    if isinstance(schema, list):
        return [name for value in schema for name in references(value)]
    return []


def inward(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """With references into the same document."""
    return json.loads(json.dumps(schema).replace("/api/_definitions.json#", "#"))


def closed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """No other properties than those that are named, where any are; what is open on purpose stays open."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        inner["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        inner.setdefault("additionalProperties", False)
    return inner


def bare(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Without descriptions; a property of that name is an object, and stays."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if isinstance(schema, dict):
        return {n: bare(v) for n, v in schema.items() if not (n == "description" and isinstance(v, str))}
    return schema


def write(name: str, schema: Iterable[Any]) -> None:
    (HERE / name).write_text(json.dumps(bare(schema), indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
