"""Where probes may go whose destination is not the operator's own word: redirects, and requests over HTTP."""

from __future__ import annotations

from collections.abc import Collection

from sentinel.collect.probes.resolve import Address, Policy


def outside(address: Address) -> bool:
    """Neither this machine, nor its link (where clouds keep their metadata), nor nowhere in particular."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    return not any(
        (
            inner.is_loopback,
            inner.is_link_local,
            inner.is_multicast,
            inner.is_unspecified,
            inner.is_reserved,
            str(inner) in METADATA,
        )
    )


METADATA = frozenset(("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
"""Metadata services that are not at a link-local address: Alibaba, Azure, Oracle, AWS over IPv6."""


def redirected(origin: Address) -> Policy:
    """A redirect leads to the target's own address, or outside; from a public address only to public ones."""

    def allows(address: Address) -> bool:
        if address == origin:
            return True
        return outside(address) and (address.is_global or not origin.is_global)

    return allows


def only(named: Collection[Address], also: Policy) -> Policy:
    """Addresses that are named, and of the others those that lie outside and where `also` says so."""

    def allows(address: Address) -> bool:
        return address in named or (outside(address) and also(address))

    return allows
