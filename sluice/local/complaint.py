"""What a Java program's log says about why it ended."""

import re
from pathlib import Path

_TROUBLE = re.compile(r"ERROR|FATAL|Exception|Error\b|Could not|Invalid|No space left")
_NOISE = re.compile(r"\s|\.\.\.|\tat |\s*$|.*(RejectedExecution|Shutting down|shutdown)")
_TAIL_BYTES = 64_000
_LONGEST = 300


def last_complaint(log: Path) -> str:
    """The last line that tells of trouble, else the last line at all, cut to a length that fits a sentence."""
    try:
        text = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", errors="replace")
    except FileNotFoundError:
        return "it wrote nothing"
    lines = [line.strip() for line in text.splitlines() if not _NOISE.match(line)]
    troubles = [line for line in lines if _TROUBLE.search(line)]
    last = (troubles or lines or ["it wrote nothing"])[-1]
    return last if len(last) <= _LONGEST else last[:_LONGEST] + " …"
