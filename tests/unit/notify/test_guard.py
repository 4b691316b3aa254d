"""Where receivers may connect to."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from sentinel.notify.guard import ForbiddenError, Guard


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("192.0.2.1", True),
        ("10.0.0.1", True),
        ("127.0.0.1", True),
        ("2001:db8::1", True),
        ("169.254.169.254", False),
        ("::ffff:169.254.169.254", False),
        ("2002:a9fe:a9fe::1", False),
        ("fe80::1", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
    ],
)
def test_link_local_and_metadata_are_refused(address: str, is_allowed: bool) -> None:
    assert Guard().allows(ipaddress.ip_address(address)) is is_allowed


def test_a_list_of_networks_is_the_only_way() -> None:
    guard = Guard([ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32")])
    allowed = ["192.0.2.9", "2001:db8::9", "::ffff:192.0.2.9"]
    refused = ["192.0.3.1", "127.0.0.1", "2001:db9::1", "169.254.169.254"]
    assert all(guard.allows(ipaddress.ip_address(one)) for one in allowed)
    assert not any(guard.allows(ipaddress.ip_address(one)) for one in refused)


async def test_a_name_is_judged_by_the_addresses_it_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["192.0.2.1", "169.254.169.254"], ["169.254.169.254", "fe80::1%2"]]

    def look_up(host: str, port: int, *more: Any, **named: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert await Guard().addresses("rebinds.example", 80) == ["192.0.2.1"]
    with pytest.raises(ForbiddenError, match="may not send"):
        await Guard().addresses("rebinds.example", 80)
