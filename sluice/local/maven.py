"""Maven Central by way of jgo, in pure Python: neither the machine's Maven nor its settings nor its files are used."""

import errno
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.local.artefacts import Coordinate
from sluice.local.errors import LocalError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


def download(coordinate: Coordinate, folder: Path, watch: Watch | None = None) -> Path:
    """Fetch one file into a repository laid out under ``folder``, which must be empty; its content is not checked here.

    ``OSError`` means that the disk refused; every trouble of the network is a ``LocalError`` after a few attempts.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _download(coordinate, folder / str(attempt), watch)
        except (OSError, RuntimeError) as trouble:  # the client's network errors are OSErrors without a number
            if _is_of_the_disk(trouble):
                raise
            if attempt == _ATTEMPTS:
                raise LocalError(_unreachable(coordinate, trouble)) from trouble
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("unreachable")


def runtime_jars(roots: Sequence[Coordinate], folder: Path) -> list[Coordinate]:
    """Everything that the roots need at run time, the roots included, first come first on the class path."""
    context = _context(folder)
    wanted = [context.create_dependency(f"{root.group}:{root.name}:{root.version}") for root in roots]
    inputs, others = context.resolver.resolve(wanted)
    found = inputs + [other for other in others if other.scope in {"compile", "runtime"}]
    return [Coordinate(one.groupId, one.artifactId, one.version, one.classifier, one.type) for one in found]


def _download(coordinate: Coordinate, folder: Path, watch: Watch | None) -> Path:
    component = _context(folder, watch).project(coordinate.group, coordinate.name).at_version(coordinate.version)
    return component.artifact(classifier=coordinate.classifier, packaging=coordinate.packaging).resolve()


def _context(folder: Path, watch: Watch | None = None) -> "MavenContext":
    # It loads an HTTP client, which takes a third of a second that only a first fetch should pay.
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - see above
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - see above

    resolver = PythonResolver(progress_callback=watch)
    return MavenContext(
        resolver=resolver, repo_cache=folder, local_repos=[], remote_repos={"central": MAVEN_CENTRAL_URL}
    )


def _is_of_the_disk(trouble: Exception) -> bool:
    disk = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}
    return isinstance(trouble, OSError) and trouble.errno in disk


def _unreachable(coordinate: Coordinate, trouble: Exception) -> str:
    if isinstance(trouble, RuntimeError):
        return f"Maven Central did not hand out {coordinate}; try again later"
    return (
        f"Maven Central cannot be reached for {coordinate} ({type(trouble).__name__}); "
        "the first `sluice local up` needs the network, later ones do not"
    )
