"""Apache Kafka: one node that is broker and controller. No listener lets anybody in without a password.

Clients, and the node towards itself, log in with SCRAM-SHA-512; the controller's listener, which only the node uses,
takes PLAIN with a random password. What is not granted to a user is refused, and a topic exists only once created.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from sluice.kafka.admin import answers as kafka_answers
from sluice.kafka.clients import admin_client
from sluice.local import client_files, ports, properties
from sluice.local.cache import Programs
from sluice.local.complaint import last_complaint
from sluice.local.errors import LocalError
from sluice.local.state import ADMIN_USER, NODE_USER, Copy

NAME = "broker"
DATA = "data"

# What a laptop and its tests want: one replica of everything, few partitions, no waiting.
_LAPTOP = {
    "num.partitions": "1",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "min.insync.replicas": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "200",
}

# Kafka 4.3.1 starts from its log alone until there is a snapshot of it, after an hour ordinarily. If a user was removed
# whose name comes early in a hash table, it then forgets all the others (ScramDelta.apply), and nobody can log in.
_USERS_OUTLAST_A_RESTART = {"metadata.log.max.snapshot.interval.ms": "10000"}

_ADMIN_TIMEOUT_SECONDS = 2.0


def prepare(copy: Copy, programs: Programs) -> list[str]:
    """Write the configuration, format the storage if it is new, and return the command that runs the broker."""
    properties.write_private(copy.home(NAME) / "server.properties", properties.render(server_properties(copy)))
    (copy.home(NAME) / "tmp").mkdir(exist_ok=True)
    if not (copy.home(NAME) / DATA).exists():
        _format(copy, programs)
    return _java(programs, "-Xmx512m", "kafka.Kafka", "server.properties")


def answers(copy: Copy) -> bool:
    """Whether the admin can log in and the node is among the brokers, which it is once it serves."""
    if not ports.is_open(copy.identity.broker_ports[0]):
        return False
    return kafka_answers(admin_client(client_files.admin(copy)), _ADMIN_TIMEOUT_SECONDS)


def server_properties(copy: Copy) -> dict[str, str]:
    """The node's configuration. Its data lies relative to its working directory, the broker's folder."""
    clients, controller = copy.identity.broker_ports
    password = copy.identity.node_password
    login = f'required username="{NODE_USER}" password="{password}"'
    security = "org.apache.kafka.common.security"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "log.dirs": DATA,
        "listeners": f"CLIENT://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"CLIENT://127.0.0.1:{clients}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.client.scram-sha-512.sasl.jaas.config": f"{security}.scram.ScramLoginModule {login};",
        "listener.name.client.scram-sha-256.sasl.jaas.config": f"{security}.scram.ScramLoginModule {login};",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{security}.plain.PlainLoginModule {login} user_{NODE_USER}="{password}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN_USER};User:{NODE_USER}",
        "auto.create.topics.enable": "false",
        **_LAPTOP,
        **_USERS_OUTLAST_A_RESTART,
    }


def _format(copy: Copy, programs: Programs) -> None:
    """Make empty storage with both users in it, in a folder aside; it takes its place only when it is whole."""
    home, log = copy.home(NAME), copy.log("format")
    for leftover in home.glob("formatting-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="formatting-", dir=home) as name:
        scratch = Path(name)
        (scratch / "tmp").mkdir()
        properties.write_private(scratch / "server.properties", properties.render(server_properties(copy)))
        # Arguments in a file, because other users of the machine can read a command line.
        properties.write_private(scratch / "arguments", "\n".join(_format_arguments(copy)))
        command = _java(programs, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "@arguments")
        with log.open("wb") as output:
            done = subprocess.run(command, cwd=scratch, stdout=output, stderr=output, check=False)  # noqa: S603 - ours
        if done.returncode != 0:
            raise LocalError(f"the broker's storage could not be made: {last_complaint(log)} (all of it: {log})")
        log.unlink()  # it shows what SCRAM stores of the passwords
        (scratch / DATA).rename(home / DATA)


def _format_arguments(copy: Copy) -> list[str]:
    passwords = {ADMIN_USER: copy.identity.admin_password, NODE_USER: copy.identity.node_password}
    arguments = ["format", "--cluster-id", copy.identity.cluster_id, "--config", "server.properties"]
    for user, password in passwords.items():
        arguments += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
    return arguments


def _java(programs: Programs, option: str, *main: str) -> list[str]:
    return [
        str(programs.java),
        option,
        "-Djava.io.tmpdir=tmp",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
        "-cp",
        ":".join(map(str, programs.classpath)),
        *main,
    ]
