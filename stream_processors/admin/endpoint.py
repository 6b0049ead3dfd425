"""The HTTP server of one process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sluice.errors import SluiceError
from sluice.form import form, release
from sluice.metrics import catalogue
from stream_processors.admin.guard import Guard
from stream_processors.admin.health import Health

_BACKLOG = 128
_LAST_ANSWERS_SECONDS = 1


def registry_of_a_process() -> CollectorRegistry:
    """Which release it is, and what the operating system knows of it: memory, processor time, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    catalogue.BUILD.gauge(registry).labels(release(), form()).set(1)
    return registry


@contextmanager
def served(
    registry: CollectorRegistry, host: str, port: int, health: Health, page: Sequence[Route] = ()
) -> Iterator[None]:
    """Metrics, health and the page, while inside; the log says where. `port` 0 takes a free one. Raises SluiceError."""
    app = Starlette(routes=[Route("/metrics", Guard(host).metrics(_metrics(registry))), *health.routes(), *page])
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS
    )
    server = uvicorn.Server(config)
    with closing(_listening(host, port)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="admin", daemon=True)
        thread.start()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}/metrics"
        structlog.get_logger(__name__).info("serving_metrics", url=url)
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = error.strerror or str(error)
        raise SluiceError(
            f"Cannot serve metrics on {host}:{port}: {why}. Choose another with --metrics-port."
        ) from error


def _metrics(registry: CollectorRegistry) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return answer
