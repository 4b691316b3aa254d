"""Addresses as people write them: HOST, HOST:PORT, [IPV6]:PORT."""

from __future__ import annotations

import ipaddress


def split_listen(written: str) -> tuple[str, int]:
    """IP address and port of a listen address.

    Raises:
        ValueError: not an IP address with a port.
    """
    host, _, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise ValueError(f'not an IP address with a port: {written!r} (write "127.0.0.1:9788")') from None
    if not 0 <= number <= 65535:
        raise ValueError(f"not a port: {number}")
    return host, number


def split_address(written: str) -> tuple[str, int | None]:
    """Host and port (None where none is given) of a target's address.

    The host may only consist of what host names and IP addresses consist of, so that it is never an option,
    a path or a command anywhere.

    Raises:
        ValueError: anything else.
    """
    host, port = written, ""
    if written.startswith("["):
        host, bracket, rest = written[1:].partition("]")
        port = rest.removeprefix(":")
        if not bracket or (rest and not port):
            raise ValueError(f"not an address: {written!r} (write [2001:db8::1]:161)")
    elif written.count(":") == 1:
        host, _, port = written.partition(":")
    is_name = host and host[0] not in "-." and all(char.isalnum() or char in "-._" for char in host)
    if not is_name or not host.isascii():
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"not a host name or IP address: {written!r}") from None
    if not port:
        return host, None
    if not port.isdecimal() or not 0 < int(port) <= 65535:
        raise ValueError(f"not a port: {port!r}")
    return host, int(port)


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
