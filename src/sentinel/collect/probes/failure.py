"""A probe that did not find what it should."""

from __future__ import annotations

import errno


class ProbeFailure(Exception):  # noqa: N818 - a finding about the target, not an error of ours
    """`reason` is a bounded word for metrics and logs, `text` one line for a person."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


_REASONS = {
    errno.ECONNREFUSED: ("refused", "refuses connections"),
    errno.ECONNRESET: ("closed", "cut the connection"),
    errno.EPIPE: ("closed", "closed the connection"),
    errno.ETIMEDOUT: ("timeout", "does not answer"),
    errno.EHOSTUNREACH: ("unreachable", "cannot be reached"),
    errno.ENETUNREACH: ("unreachable", "cannot be reached: no route"),
    errno.EADDRNOTAVAIL: ("source_address", "cannot be reached from the source address given"),
    errno.EMSGSIZE: ("too_large", "cannot be reached with a packet of this size"),
    errno.EACCES: ("forbidden", "may not be reached from here"),
    errno.EPERM: ("forbidden", "may not be reached from here: a local packet filter?"),
}


def network_failure(where: str, error: OSError) -> ProbeFailure:
    """What the operating system said of a place, in one of a few words."""
    if isinstance(error, TimeoutError):
        return ProbeFailure("timeout", f"{where} does not answer")
    reason, text = _REASONS.get(
        error.errno or 0, ("network", f"cannot be talked to: {error.strerror or error}")
    )
    return ProbeFailure(reason, f"{where} {text}")
