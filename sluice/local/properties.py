"""Properties files, ``key=value`` a line, as librdkafka's tools and Kafka read them; they hold passwords.

Keys and values are ASCII without backslashes by construction, so that both readers agree and nothing needs escaping.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path


def render(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def parse(text: str) -> dict[str, str]:
    """The settings in a file; empty lines and ``#`` comments are skipped."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def with_value(text: str, key: str, value: str) -> str:
    """The same text with the value of ``key`` replaced where it occurs, every other line untouched."""
    lines = text.splitlines(keepends=True)
    return "".join(f"{key}={value}\n" if line.partition("=")[0].strip() == key else line for line in lines)


def write_private(path: Path, text: str) -> None:
    """Put a whole new file in place, mode 0600: a reader, or a run after a crash, sees the old one or the new one."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8"
    ) as file:
        try:
            file.write(text)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
