"""The compose file and the Kubernetes manifests: valid by the published schemas, and as closed as the docs say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft7Validator, Draft202012Validator

from sluice.connection_files import read_properties
from sluice.metrics.alerts import JOBS
from sluice.private_file import refuse_exposed
from sluice.render_commands import render
from sluice.settings import load_settings

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "deployment_schemas"
COMPOSE = ROOT / "deploy/compose"
KUBERNETES = ROOT / "deploy/kubernetes"
EXAMPLE = KUBERNETES / "example"
MANIFESTS = sorted(
    path for path in KUBERNETES.rglob("*.yaml") if path.name not in {"kustomization.yaml", "sluice.yaml"}
)
WITH_PODS = {"StatefulSet", "Deployment", "Job"}
PROCESSORS = ("sharing", "returns", "providers")
Document = dict[str, Any]


def schema(name: str) -> Document:
    found: Document = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def composed() -> Document:
    found: Document = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    return found


SERVICES: dict[str, Document] = composed()["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "sluice"}


def documents(*paths: Path) -> list[Document]:
    return [one for path in paths for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def problems(found: Iterable[Document]) -> list[str]:
    """By the schema of each one's kind; a kind without a schema is a problem."""
    shelves = [schema(name) for name in ("kubernetes", "strimzi", "monitoring")]
    told = []
    for one in found:
        (shelf,) = (shelf for shelf in shelves if one["kind"] in shelf["kinds"])
        validator = Draft7Validator({**shelf["kinds"][one["kind"]], "$defs": shelf.get("$defs", {})})
        name = f"{one['kind']} {one['metadata']['name']}"
        told += [f"{name}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(one)]
    return told


def test_the_compose_file_is_valid() -> None:
    errors = Draft202012Validator(schema("compose-spec")).iter_errors(composed())
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_privileges_and_is_reached_from_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert name in OURS or re.fullmatch(r"[a-z/-]+:v?\d+(\.\d+)+", service["image"]), "a version, and no moving tag"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_cannot_write_what_they_run(name: str) -> None:
    assert OURS[name]["read_only"] is True
    assert "user" not in OURS[name], "the image's own, which is nobody in particular"


def test_the_registry_is_reached_from_inside_alone() -> None:
    assert composed()["networks"]["inside"] == {"internal": True}
    assert SERVICES["registry"]["networks"] == ["inside"]
    assert "ports" not in SERVICES["registry"]


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_processor_has_its_own_credentials_and_no_others(name: str) -> None:
    volumes = {volume.split(":")[0] for volume in SERVICES[name]["volumes"]}
    of_all = {"clients", "certificates", "partners", *(f"{one}-client" for one in PROCESSORS)}
    assert volumes & of_all == {f"{name}-client"}


@pytest.mark.parametrize("folder", ["clients", "partners"])
def test_connection_files_are_taken_from_whom_the_container_runs_as(folder: str, tmp_path: Path) -> None:
    """What is root's may be read by a group; the job `credentials` runs as somebody else."""
    folders = [str(tmp_path / name) for name in ("broker", "clients", "partners")]
    job = [
        sys.executable,
        str(COMPOSE / "credentials.py"),
        *folders,
        "--broker-name",
        "kafka",
        "--partner",
        "hoshi-card",
    ]
    subprocess.run(job, check=True)
    made = list((tmp_path / folder).iterdir())
    assert made
    for path in made:
        if os.getuid() == 0:
            os.chown(path, 10001, 10001)
        refuse_exposed(path)


def test_every_file_and_volume_that_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, *target = volume.split(":")
            if target:  # else it goes with its container
                there = (COMPOSE / source).exists() if source.startswith(".") else source in composed()["volumes"]
                assert there, volume


def test_the_broker_has_no_way_in_without_encryption_and_a_name() -> None:
    text = (COMPOSE / "kafka/server.properties").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    protocols = dict(pair.split(":") for pair in settings["listener.security.protocol.map"].split(","))
    names = {listener.split("://")[0] for listener in settings["listeners"].split(",")}
    assert names == set(protocols)
    assert set(protocols.values()) == {"SSL", "SASL_SSL"}
    for name, protocol in protocols.items():
        if protocol == "SSL":
            assert settings[f"listener.name.{name.lower()}.ssl.client.auth"] == "required"
    assert settings["allow.everyone.if.no.acl.found"] == "false"
    assert "ANONYMOUS" not in settings["super.users"]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_manifest_is_valid(path: Path) -> None:
    assert problems(documents(path)) == []


def test_a_manifest_that_is_not_valid_is_found() -> None:
    (right,) = documents(KUBERNETES / "base/monitoring.yaml")
    wrong = {**right, "spec": {**right["spec"], "podMetricEndpoints": []}}
    assert "podMetricEndpoints" in problems([wrong])[0]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="it builds the overlay; the files themselves are tried above")
def test_the_example_is_valid_as_it_is_built() -> None:
    built = subprocess.run(["kubectl", "kustomize", str(EXAMPLE)], check=True, capture_output=True, text=True).stdout
    found = list(yaml.safe_load_all(built))
    assert problems(found) == []
    ours = [one for one in found if one["kind"] in WITH_PODS]
    assert {one["metadata"]["name"] for one in ours} == {
        "sharing",
        "returns",
        "providers",
        "apply",
        "tool",
        "registry",
    }
    for one in ours:
        assert one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sluice"


def test_every_file_is_part_of_its_kustomization() -> None:
    for folder in (KUBERNETES / "base", EXAMPLE):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        listed = {name for name in kustomization["resources"] if not name.startswith("..")}
        assert listed == {path.name for path in MANIFESTS if path.parent == folder}
    demo = yaml.safe_load((ROOT / "deploy/demo/kustomization.yaml").read_text(encoding="utf-8"))
    (contracts,) = demo["configMapGenerator"]
    assert set(contracts["files"]) == {f"contracts/{path.name}" for path in (ROOT / "deploy/demo/contracts").iterdir()}


def test_the_example_has_the_version_that_the_document_builds() -> None:
    """A moving tag would leave open what runs."""
    (image,) = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text(encoding="utf-8"))["images"]
    assert image["newTag"] == version("sluice")
    for place in ("docs/deploying.md", "deploy/image/Dockerfile"):
        assert f"--tag sluice:{image['newTag']} ." in (ROOT / place).read_text(encoding="utf-8")


def test_the_examples_topics_and_users_are_those_of_its_contracts() -> None:
    options = ["--settings", str(EXAMPLE / "sluice.yaml"), "--contracts", str(ROOT / "deploy/demo/contracts")]
    rendered = CliRunner().invoke(render, ["kubernetes", *options])
    assert rendered.output == (EXAMPLE / "topics-and-users.yaml").read_text(encoding="utf-8")


def pods() -> dict[str, Document]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in documents(*MANIFESTS)
        if one["kind"] in WITH_PODS
    }


@pytest.mark.parametrize("name", pods())
def test_a_pod_is_restricted(name: str) -> None:
    """As the pod security standard of that name has it, and with a root that cannot be written."""
    pod = pods()[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_no_secret_is_written_down() -> None:
    assert not [one for one in documents(*MANIFESTS) if one["kind"] == "Secret"]
    assert "secretGenerator" not in (EXAMPLE / "kustomization.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_processor_mounts_its_own_password_alone(name: str) -> None:
    (volume,) = (volume for volume in pods()[name]["volumes"] if volume["name"] == "passwords")
    assert volume["secret"]["items"] == [{"key": name, "path": name}]


def test_commands_are_typed_in_a_pod_that_is_there_when_called() -> None:
    """As the administrator, with all that brings contracts into force, and never by itself."""
    (tool,) = (one for one in documents(*MANIFESTS) if one["metadata"]["name"] == "tool")
    assert tool["spec"]["replicas"] == 0
    assert pods()["tool"]["containers"][0]["command"] == ["sleep", "infinity"]
    assert _compared("tool") == _compared("apply")


def _compared(name: str) -> Document:
    """What its pod may do and is given, without what it runs and how much it takes."""
    pod: Document = json.loads(json.dumps(pods()[name]).replace(name, "-"))
    for other in ("restartPolicy", "terminationGracePeriodSeconds"):
        pod.pop(other, None)
    for other in ("args", "command", "resources"):
        pod["containers"][0].pop(other, None)
    for volume in pod["volumes"]:
        if volume["name"] == "tmp":
            del volume["emptyDir"]["sizeLimit"]
    return pod


def test_a_proof_has_room_on_the_disk() -> None:
    """What it gathers takes as much room as the topics, and would fill a file system in memory."""
    (tmp,) = (volume["emptyDir"] for volume in pods()["tool"]["volumes"] if volume["name"] == "tmp")
    (container,) = pods()["tool"]["containers"]
    assert tmp == {"sizeLimit": container["resources"]["requests"]["ephemeral-storage"]}
    assert (OURS["tool"]["tmpfs"], "/tmp" in OURS["tool"]["volumes"]) == ([], True)  # noqa: S108 - in a container


def test_what_documents_do_to_kubernetes_is_there() -> None:
    """By kind and name."""
    there = {(one["kind"].lower(), one["metadata"]["name"]) for one in documents(*MANIFESTS)}
    told = set()
    for document in (ROOT / "docs/deploying.md", ROOT / "docs/alerts.md"):
        text = document.read_text(encoding="utf-8")
        told |= set(re.findall(r"\b(statefulset|deployment|cronjob)/([a-z][a-z-]*)", text))
        told |= {("job", name) for name in re.findall(r"\b(?:patch|delete) job ([a-z-]+)", text)}
    assert len(told) > 4
    assert told <= there


def test_what_documents_do_to_containers_is_there() -> None:
    text = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    told = re.findall(r"compose\.yaml (?:run --rm|exec)(?: --entrypoint \S+)? ([a-z-]+)", text)
    assert len(told) > 3
    assert set(told) <= SERVICES.keys()


def test_every_processor_is_scraped_as_the_job_that_alerts_ask_for() -> None:
    scraped = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {one["job_name"]: one["static_configs"][0]["targets"] for one in scraped if one["job_name"] in PROCESSORS}
    settings = load_settings(COMPOSE / "sluice.yaml")
    assert targets == {name: [f"{name}:{getattr(settings, name).metrics.port}"] for name in PROCESSORS}
    assert all(re.fullmatch(JOBS, name) and name in SERVICES for name in targets)
    (monitor,) = documents(KUBERNETES / "base/monitoring.yaml")
    (selected,) = monitor["spec"]["selector"]["matchExpressions"]
    assert selected == {"key": monitor["spec"]["jobLabel"], "operator": "In", "values": list(PROCESSORS)}
    settings = load_settings(EXAMPLE / "sluice.yaml")
    for name in PROCESSORS:
        (container,) = pods()[name]["containers"]
        port = getattr(settings, name).metrics.port
        assert container["ports"] == [{"name": "metrics", "containerPort": port}]


def test_a_pod_gets_a_connection_file_for_each_password_that_it_was_given(tmp_path: Path) -> None:
    script = (KUBERNETES / "base/connect.sh").read_text(encoding="utf-8")
    for folder in ("passwords", "clients"):
        (tmp_path / folder).mkdir()
        script = script.replace(f"/{folder}/", f"{tmp_path}/{folder}/")
    (tmp_path / "passwords/sharing").write_text("se=c#r et$1", encoding="utf-8")
    place = {"BOOTSTRAP": "kafka:9093", "REGISTRY": "http://registry:8080"}
    subprocess.run(["sh", "-c", script], check=True, env={**os.environ, **place})
    assert read_properties(tmp_path / "clients/sharing.properties") == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/authority/ca.crt",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "sharing",
        "sasl.password": "se=c#r et$1",
    }
    assert read_properties(tmp_path / "clients/registry.properties") == {"url": "http://registry:8080"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "clients").iterdir()} == {0o600}


def test_whoever_belongs_to_sluice_is_shut_off_first() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in documents(KUBERNETES / "base/network.yaml")}
    nothing = policies["nothing"]
    assert nothing == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "sluice"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    assert all(rule.get("to") for spec in policies.values() for rule in spec.get("egress", []))
    assert all(rule.get("from") for spec in policies.values() for rule in spec.get("ingress", []))


def test_whoever_connects_is_let_out_and_into_the_registry() -> None:
    connect = {name for name, pod in pods().items() if "initContainers" in pod}
    policies = {one["metadata"]["name"]: one["spec"] for one in documents(KUBERNETES / "base/network.yaml")}
    (out,) = policies["to-broker-and-registry"]["podSelector"]["matchExpressions"]
    (rule,) = policies["to-registry"]["ingress"]
    (into,) = rule["from"][0]["podSelector"]["matchExpressions"]
    assert set(out["values"]) == set(into["values"]) == connect


def test_the_settings_of_the_deployments_can_be_read_and_name_every_instance() -> None:
    load_settings(COMPOSE / "sluice.yaml")
    settings = load_settings(EXAMPLE / "sluice.yaml")
    (sharing,) = (one for one in documents(KUBERNETES / "base/sharing.yaml") if one["kind"] == "StatefulSet")
    assert settings.sharing.instances == [f"sharing-{number}" for number in range(sharing["spec"]["replicas"])]
