"""Apicurio, a schema registry that speaks Confluent's protocol, with its data in an H2 file.

It has no authentication: whoever can reach the loopback interface of this machine can read and write schemas. It
listens nowhere else. That is enough for a machine of one person and for tests, and for nothing more.
"""

import http.client
import json

from sluice.local import ports
from sluice.local.cache import Programs
from sluice.local.errors import LocalError
from sluice.local.state import Copy

NAME = "registry"
COMPATIBILITY = "BACKWARD"

# Without a write delay: by default what was acknowledged in the last half second is lost with a kill.
_DATABASE = "jdbc:h2:file:./schemas;WRITE_DELAY=0"
_CONFIG = "/apis/ccompat/v7/config"
_TIMEOUT_SECONDS = 10.0


def prepare(copy: Copy, programs: Programs) -> list[str]:
    """The command that runs the registry; all it writes is relative to its folder, its working directory."""
    api, management = copy.identity.registry_ports
    (copy.home(NAME) / "tmp").mkdir(exist_ok=True)
    return [
        str(programs.java),
        "-Xmx384m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.io.tmpdir=tmp",
        f"-Dquarkus.http.host={ports.LOOPBACK}",
        f"-Dquarkus.http.port={api}",
        f"-Dquarkus.management.host={ports.LOOPBACK}",
        f"-Dquarkus.management.port={management}",
        "-Dquarkus.http.access-log.enabled=false",
        f"-Dapicurio.datasource.url={_DATABASE}",
        "-jar",
        str(programs.registry),
    ]


def answers(copy: Copy) -> bool:
    """Whether it serves the protocol that clients will speak."""
    try:
        return _request(copy, "GET")[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def require_compatibility(copy: Copy) -> None:
    """Refuse schemas that cannot read what the last one wrote, for every subject that says nothing else."""
    try:
        status, answer = _request(copy, "PUT", {"compatibility": COMPATIBILITY})
    except (OSError, http.client.HTTPException) as error:
        raise LocalError(
            f"the registry stopped answering while it was set up ({error}); see {copy.log(NAME)}"
        ) from error
    if status != http.client.OK:
        raise LocalError(
            f"the registry refused its compatibility level ({status}: {answer[:200]}); see {copy.log(NAME)}"
        )


def _request(copy: Copy, method: str, body: dict[str, str] | None = None) -> tuple[int, str]:
    """One call straight to the loopback interface, whatever proxy the environment names."""
    connection = http.client.HTTPConnection(ports.LOOPBACK, copy.identity.registry_ports[0], timeout=_TIMEOUT_SECONDS)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, _CONFIG, content, {"Content-Type": "application/vnd.schemaregistry.v1+json"})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", errors="replace")
    finally:
        connection.close()
