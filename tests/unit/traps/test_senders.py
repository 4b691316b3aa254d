"""Who may send, as whom, and how much."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sentinel.collect.traps.senders import BURST, MAX_STRANGERS, Senders
from sentinel.config.auth import Auth, SnmpAuth
from sentinel.config.secret import Secret
from sentinel.config.traps import TrapsSettings
from sentinel.model.target import Target

AUTHS: dict[str, Auth] = {
    "north": SnmpAuth(kind="snmp", community=Secret("north")),
    "traps": SnmpAuth(kind="snmp", community=Secret("traps")),
}
SWITCH = Target("sw1", "192.0.2.1", modules=("if_mib",), auths=("north",))


def senders(*targets: Target, **settings: object) -> Senders:
    found = Senders()
    found.adopt(TrapsSettings.model_validate(settings), targets, AUTHS, ["if_mib"])
    return found


def test_targets_may_send_and_nobody_else() -> None:
    known = senders(SWITCH)
    sender = known.of("192.0.2.1")
    assert sender is not None
    assert (sender.instance, sender.modules) == ("sw1", ("if_mib",))
    assert known.of("192.0.2.2") is None
    assert known.of("nonsense") is None


def test_an_ipv4_sender_is_known_on_a_socket_for_both_families() -> None:
    sender = senders(SWITCH).of("::ffff:192.0.2.1")
    assert sender is not None
    assert sender.instance == "sw1"


def test_a_target_proves_itself_with_its_own_community_or_one_for_all() -> None:
    sender = senders(SWITCH, auth=["traps"]).of("192.0.2.1")
    assert sender is not None
    assert sender.takes(b"north")
    assert sender.takes(b"traps")
    assert not sender.takes(b"public")
    implicit = senders(Target("sw2", "192.0.2.2", modules=("if_mib",))).of("192.0.2.2")
    assert implicit is not None
    assert implicit.takes(b"public")


def test_further_networks_may_send_under_their_address_and_for_targets() -> None:
    known = senders(SWITCH, allow=[ip_network("198.51.100.0/24")], auth=["traps"])
    relay = known.of("198.51.100.7")
    assert relay is not None
    assert relay.instance == "198.51.100.7"
    assert known.behind(relay, "192.0.2.1").instance == "sw1"
    assert known.behind(relay, "192.0.2.99") is relay
    switch = known.of("192.0.2.1")
    assert switch is not None
    assert known.behind(switch, "198.51.100.7") is switch


def test_strangers_are_bounded() -> None:
    known = senders(allow=[ip_network("10.0.0.0/8")], auth=["traps"])
    taken = [known.of(f"10.0.{number // 256}.{number % 256}") for number in range(MAX_STRANGERS + 100)]
    assert sum(one is not None for one in taken) == MAX_STRANGERS


def test_a_device_read_over_snmp_is_meant_before_a_server_at_the_same_address() -> None:
    server = Target("web1", "192.0.2.1", modules=("linux",))
    sender = senders(server, SWITCH).of("192.0.2.1")
    assert sender is not None
    assert sender.instance == "sw1"


async def test_host_names_are_looked_up() -> None:
    known = senders(Target("here", "localhost", modules=("if_mib",)))
    assert known.of("127.0.0.1") is None
    await known.resolve()
    sender = known.of("127.0.0.1")
    assert sender is not None
    assert sender.instance == "here"


@pytest.mark.parametrize(("rate", "total"), [(5, 1000), (1000, 5)])
def test_each_sender_and_all_together_are_limited(rate: int, total: int) -> None:
    known = senders(SWITCH, rate=rate, total_rate=total)
    sender = known.of("192.0.2.1")
    assert sender is not None
    assert sum(known.may_send(sender, 100.0) for _ in range(1000)) == 5 * BURST
    assert sum(known.may_send(sender, 102.0) for _ in range(1000)) == 10


def test_one_sender_in_a_storm_leaves_the_others_their_share() -> None:
    known = senders(SWITCH, Target("sw2", "192.0.2.2"), rate=5, total_rate=1000)
    loud, quiet = known.of("192.0.2.1"), known.of("192.0.2.2")
    assert loud is not None
    assert quiet is not None
    for _ in range(10_000):
        known.may_send(loud, 100.0)
    assert known.may_send(quiet, 100.0)
