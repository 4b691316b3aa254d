"""The fingerprint under which Prometheus and Alertmanager know a label set."""

from __future__ import annotations

from sentinel.model.labels import Labels

_OFFSET = 14695981039346656037
_PRIME = 1099511628211
_MASK = 2**64 - 1


def signature(labels: Labels) -> str:
    """Sixteen hexadecimal digits: FNV-1a, 64 bits, of names and values in the order of the names.

    Source: prometheus/common model/signature.go (labelSetToFingerprint) and model/fnv.go.
    """
    text = b"".join(
        name.encode("utf-8", "surrogatepass") + b"\xff" + value.encode("utf-8", "surrogatepass") + b"\xff"
        for name, value in labels.pairs
    )
    found = _OFFSET
    for byte in text:
        found = ((found ^ byte) * _PRIME) & _MASK
    return f"{found:016x}"
