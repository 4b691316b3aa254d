"""Addresses as people write them: HOST, HOST:PORT, [IPV6]:PORT, and URLs."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


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


def split_url(written: str) -> tuple[str, int | None]:
    """Host and port (None where none is given) of an http or https URL.

    Raises:
        ValueError: anything else, or a URL with what does not belong into a target: a user, spaces, a fragment.
    """
    if not written.isascii() or any(ord(char) <= 32 or char in '"<>\\^`{|}\x7f' for char in written):
        raise ValueError(
            f"not a URL: {written!r} (characters beyond letters, digits and -._~:/?[]@!$&'()*+,;=%)"
        )
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"not a URL: {written!r} (write https://HOST/PATH)")
    if "@" in parts.netloc:
        raise ValueError("user and password do not belong into a URL: use basic_auth of the module")
    if "#" in written:
        raise ValueError("a fragment (#…) is never sent: leave it out")
    return split_address(parts.netloc)


def is_url(written: str) -> bool:
    return "://" in written


def split_place(written: str) -> tuple[str, int | None]:
    """Host and port of an address or a URL.

    Raises:
        ValueError: neither.
    """
    return split_url(written) if is_url(written) else split_address(written)


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
