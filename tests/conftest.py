"""What all tests share."""

from __future__ import annotations

import signal

# A shell ignores Ctrl-C for what it starts in the background, and programs that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
