"""What went wrong with a device, in words for the person who can mend it: the same whichever engine asked."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.collect.collector import PollError
from sentinel.collect.snmp.usm.reports import MEANINGS, REFUSED
from sentinel.collect.snmp.walk import Walk

_ERRORS = {2: "noSuchName", 5: "genErr", 6: "noAccess", 13: "resourceUnavailable", 16: "authorizationError"}
"""Words for some of error-status (RFC 3416 §3)."""


def place_of(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def silence(where: str, trouble: str, report: str, *, version: int, timeout: float) -> PollError:
    """Nothing was answered.

    Args:
        where: the agent's address.
        trouble: the last thing that was wrong, a reason; empty: nothing came.
        report: what a version 3 agent said instead of answering.
        version: of the protocol.
        timeout: seconds that the poll had.
    """
    if trouble == "auth":
        return PollError(trouble, f"{where} {MEANINGS.get(report, REFUSED)}")
    said: dict[str, Callable[[], str]] = {
        "refused": lambda: f"{where} refused: the host is up, but no SNMP agent listens there",
        "unreachable": lambda: f"no route to {where}: check the address and the network",
        "malformed": lambda: f"{where} answers, but not in SNMP: is this the right port and version?",
        "too_big": lambda: f"the request to {where} is too big to be sent: name fewer OIDs under 'get'",
    }
    if trouble in said:
        return PollError(trouble, said[trouble]())
    if report:
        text = (
            f"{where} says who it is, but answered none of the user's requests within {timeout:g}s: "
            "check username, passwords and context_name"
        )
        return PollError("timeout", text)
    question = "" if version == 3 else ", is the community right"
    text = (
        f"no answer from {where} within {timeout:g}s: is the agent up, does it allow this address{question}?"
    )
    return PollError("timeout", text)


def refusal(where: str, walk: Walk, *, version: int, timeout: float) -> PollError:
    """Something was answered, but nothing that can be used."""
    reason = next(iter(walk.unread.values()))
    if reason == "error_status":
        error = _ERRORS.get(walk.error, "error")
        who = "user and security_level" if version == 3 else "module"
        text = f"{where} answers with {error}({walk.error}): does the agent's view allow this {who}?"
        return PollError(reason, text)
    if reason == "timeout":
        return PollError(reason, f"{where} stopped answering; nothing came within {timeout:g}s")
    text = f"{where} answers, but nothing in it can be used ({reason.replace('_', ' ')})"
    return PollError(reason, text)
