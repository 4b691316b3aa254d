"""Reports: what agents of version 3 send instead of an answer."""

from __future__ import annotations

from sentinel.collect.snmp import ber

_USM, _MPD, _TARGET = "1.3.6.1.6.3.15.1.1", "1.3.6.1.6.3.11.2.1", "1.3.6.1.6.3.12.1"
REPORTS: dict[bytes, str] = {
    ber.encode_oid(f"{oid}.0"): kind
    for oid, kind in {
        f"{_USM}.1": "unsupported_level",
        f"{_USM}.2": "not_in_time_window",
        f"{_USM}.3": "unknown_user",
        f"{_USM}.4": "unknown_engine",
        f"{_USM}.5": "wrong_digest",
        f"{_USM}.6": "decryption_error",
        f"{_MPD}.1": "unknown_security_model",
        f"{_MPD}.2": "invalid_message",
        f"{_MPD}.3": "unknown_handler",
        f"{_TARGET}.4": "unavailable_context",
        f"{_TARGET}.5": "unknown_context",
    }.items()
}
"""Counters by which agents say why they do not answer (RFC 3414 §5, RFC 3412 §5, RFC 3413 §4.1.2)."""

MEANINGS = {
    "unsupported_level": "does not offer this security_level to the user: check security_level",
    "not_in_time_window": "holds that requests come at the wrong time, also with the clock set: does it restart?",
    "unknown_user": "does not know the user: check username",
    "unknown_engine": "does not keep to the name it gives itself: is something else at this address?",
    "wrong_digest": "holds that requests are signed wrongly: check password and auth_protocol",
    "decryption_error": "cannot decrypt requests: check priv_password, priv_protocol and security_level",
    "unknown_context": "does not have this context: check context_name",
    "unavailable_context": "has the context, but cannot answer in it now: check context_name",
}
"""What they mean to the person who set the device up; each goes on from the device's address."""

REFUSED = "refuses this user's requests: check what it expects of the user"
