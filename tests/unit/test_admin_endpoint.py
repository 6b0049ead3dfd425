"""What a process says over HTTP beside its work: metrics and health."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from sluice.errors import SluiceError
from sluice.log import LogUnavailable
from sluice.metrics import catalogue
from sluice.registry import RegistryUnavailable
from stream_processors.admin.endpoint import registry_of_a_process, served
from stream_processors.admin.health import Health
from stream_processors.unavailable import Unavailable


class Work:
    """As a processor tells of itself."""

    def __init__(self) -> None:
        self.turns = 0
        self.waits_for = "the group to give it partitions"
        self.registry = registry_of_a_process()
        self.unavailable = Unavailable(catalogue.UNAVAILABLE.gauge(self.registry))
        self.health = Health(self.unavailable, lambda: self.waits_for, lambda: self.turns > 0)


@contextmanager
def place(work: Work) -> Iterator[str]:
    with capture_logs() as said, served(work.registry, "127.0.0.1", 0, work.health):
        yield str(said[0]["url"]).removesuffix("/metrics")


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_as_prometheus_reads_them() -> None:
    with place(Work()) as url:
        status, text = ask(f"{url}/metrics")
        assert status == 200
        assert {"sluice_build_info", "process_cpu_seconds"} <= {
            family.name for family in text_string_to_metric_families(text)
        }
        asked = urllib.request.Request(f"{url}/metrics", headers={"accept": "application/openmetrics-text"})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - our own server
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            assert answer.read().endswith(b"# EOF\n")


def test_health_is_what_kubernetes_means_by_it() -> None:
    work = Work()
    with place(work) as url:
        assert ask(f"{url}/health/live") == (200, "alive")
        assert ask(f"{url}/health/started") == (503, "starting")
        assert ask(f"{url}/health/ready") == (503, "starting")
        work.turns = 1
        assert ask(f"{url}/health/started") == (200, "started")
        assert ask(f"{url}/health/ready") == (503, "waits for the group to give it partitions")
        work.waits_for = ""
        assert ask(f"{url}/health/ready") == (200, "ready")
        work.unavailable.met(RegistryUnavailable("it is away"))
        assert ask(f"{url}/health/ready") == (503, "waits for the registry")
        work.unavailable.met(LogUnavailable("it is away"))
        assert ask(f"{url}/health/ready") == (503, "waits for the broker")
        assert ask(f"{url}/health/started") == (200, "started")
        assert ask(f"{url}/health/live") == (200, "alive"), "starting it again would not bring the broker back"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ipv6_is_served_and_told_in_brackets() -> None:
    work = Work()
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with capture_logs() as said, served(work.registry, "::1", 0, work.health):
        url = str(said[0]["url"])
        assert url.startswith("http://[::1]:")
        assert ask(url)[0] == 200


def test_nothing_answers_any_more_when_it_has_ended() -> None:
    with place(Work()) as url:
        pass
    with pytest.raises(urllib.error.URLError):
        ask(f"{url}/metrics")


def test_a_port_that_is_taken_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        work, port = Work(), taken.getsockname()[1]
        with (
            pytest.raises(SluiceError, match=rf"127.0.0.1:{port}: .*--metrics-port"),
            served(CollectorRegistry(), "127.0.0.1", port, work.health),
        ):
            pass
