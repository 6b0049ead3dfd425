"""Global Privacy Control: a browser's standing request not to sell or share.

Source: W3C, Global Privacy Control (Working Draft), "The Sec-GPC Header Field for HTTP Requests": only the value 1 has
a meaning; the same preference is `true` as a JavaScript property.
"""

from __future__ import annotations


def is_opt_out(value: object) -> bool:
    """Whether this is the signal. Everything else is no signal, and never a grant."""
    if isinstance(value, str):
        return value.strip() == "1"
    return isinstance(value, int) and value == 1
