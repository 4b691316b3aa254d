"""Spoilt SNMP answers by the thousand: whole polls against an agent that sends them, without a network between.

Every poll must end in a reading or a PollError, on its deadline, and leave nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import ber, message
from sentinel.collect.snmp.collector import SnmpCollector
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.collect.snmp.port import Port, SockAddress
from sentinel.collect.snmp.usm.engine import Engine
from sentinel.collect.snmp.usm.keys import Keyring, User
from sentinel.collect.snmp.usm.session import Session
from sentinel.config.secret import Secret
from tests.unit.snmp.agent import Agent, Value, counter64, integer, read_request, text
from tests.unit.snmp.reading import module_of, opened

DEADLINE = 0.5
"""Seconds a poll may take."""

ENTRY, OTHER = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.2"
_MODULE = module_of(f"""
modules:
  table:
    walk: [{ENTRY}, {OTHER}]
    get: [{OTHER}.2.0]
    timeout: 20ms
    retries: 2
    metrics:
      - {{name: rowState, oid: {ENTRY}.2, type: gauge, indexes: [{{labelname: row, type: gauge}}],
         lookups: [{{labels: [row], labelname: rowName, oid: {ENTRY}.1, type: DisplayString}}]}}
      - {{name: rowOctets, oid: {ENTRY}.3, type: counter, indexes: [{{labelname: row, type: gauge}}]}}
      - {{name: rowMac, oid: {ENTRY}.4, type: PhysAddress48, indexes: [{{labelname: row, type: gauge}}]}}
      - {{name: total, oid: {OTHER}.1, type: gauge}}
      - {{name: since, oid: {OTHER}.2, type: DateAndTime}}
""")
_TAGS = bytes((2, 4, 5, 6, 0x30, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x80, 0x81, 0x82, 0xA2, 0xA8))
_LENGTHS = (0x00, 0x7F, 0x80, 0x81, 0x82, 0x84, 0x88, 0xFF)
_KEYED = User("sealed", "authPriv", "SHA", Secret("maplesyrup"), "AES", Secret("maplesyrup"))


@dataclass(slots=True)
class Spoilt:
    """What a run did."""

    answers: int = 0
    polls: Counter[str] = field(default_factory=Counter)
    """Ends of polls: "read", "partial" or the reason of a PollError."""
    slowest: float = 0.0
    waiting: int = 0
    """Requests still waited for at the end."""
    grown: float = 0.0
    """MB by which the memory grew after the first tenth."""


def spoilt(data: bytes, chance: Random, *, keep: int = 0) -> bytes:
    """The answer with one to four things wrong.

    Args:
        keep: bytes at the start that stay, so that the answer finds the one who waits for it.
    """
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if len(out) <= keep + 1:
            break
        at = chance.randrange(keep, len(out))
        match chance.randrange(8):
            case 0:
                out[at] = chance.randrange(256)
            case 1:
                out[at] ^= 1 << chance.randrange(8)
            case 2:
                out[at] = chance.choice(_TAGS)
            case 3:
                out[at] = chance.choice(_LENGTHS)
            case 4:
                del out[at:]
            case 5:
                del out[at : at + chance.randint(1, 20)]
            case 6:
                out[at:at] = out[at : at + chance.randint(1, 60)]
            case 7:
                out[at:at] = ber.tlv(chance.choice(_TAGS), chance.randbytes(chance.choice((0, 1, 9, 300))))
    return bytes(out)


class _Spoiler(Port):
    """A port whose requests are answered here: two of three answers are spoilt, some beyond recognition."""

    def __init__(self, agent: Agent, chance: Random, metrics: SnmpMetrics) -> None:
        super().__init__(socket.AF_INET, metrics)
        self._agent, self._chance = agent, chance
        self._own_loop = asyncio.get_running_loop()
        self.answers = 0

    def send(self, data: bytes, address: SockAddress) -> None:
        answer, chance = self._agent.honest(read_request(data)), self._chance
        if chance.random() < 0.67:
            is_lost = chance.random() < 0.02
            answer = spoilt(answer, chance, keep=0 if is_lost else ber.request_id_place(answer) + 6)
        self.answers += 1
        self._own_loop.call_soon(self._dispatch, answer, address)


def _rows() -> dict[str, Value]:
    found: dict[str, Value] = {
        f"{OTHER}.1.0": integer(7),
        f"{OTHER}.2.0": (ber.OCTET_STRING, bytes.fromhex("07e8010203040500")),
        "1.3.6.1.4.1.99999.9.0": integer(1),
    }
    for row in range(1, 12):
        found[f"{ENTRY}.1.{row}"] = text(f"row {row}")
        found[f"{ENTRY}.2.{row}"] = integer(row - 5)
        found[f"{ENTRY}.3.{row}"] = counter64(10**row)
        found[f"{ENTRY}.4.{row}"] = (ber.OCTET_STRING, bytes((2, 0, 0, 0, 0, row)))
    return found


async def spoil_polls(answers: int, seed: int) -> Spoilt:
    """Polls of versions 1 and 2c until so many answers have been sent.

    Raises:
        Exception: whatever is not a PollError.
    """
    chance, found = Random(seed), Spoilt()
    start = 0.0
    while found.answers < answers:
        version = chance.choice((1, 2))
        async with opened(_MODULE, 161, version=version) as collector:
            await _spoil_one(collector, found, chance, min(answers - found.answers, 1000))
        if not start and found.answers * 10 >= answers:
            start = resident_mb()
    found.grown = resident_mb() - start
    return found


async def _spoil_one(collector: SnmpCollector, found: Spoilt, chance: Random, answers: int) -> None:
    port = _Spoiler(Agent(_rows()), chance, SnmpMetrics(CollectorRegistry()))
    collector._shared.ports._ports[socket.AF_INET] = port
    while port.answers < answers:
        started = time.monotonic()
        try:
            reading = await asyncio.wait_for(collector.poll(at=0, timeout=DEADLINE), DEADLINE * 4)
            found.polls["partial" if reading.unread else "read"] += 1
        except PollError as error:
            found.polls[error.reason] += 1
        found.slowest = max(found.slowest, time.monotonic() - started)
    found.answers += port.answers
    found.waiting += port.waiting


def spoil_version_3(answers: int, seed: int) -> int:
    """Signed and encrypted answers spoilt after and before sealing; how many were opened all the same.

    Raises:
        Exception: whatever is not declared.
    """
    chance, opened_all_the_same = Random(seed), 0
    ours, theirs = (_session() for _ in range(2))
    message.get(ours, [ber.encode_oid("1.3.6.1")]).with_id(1 << 24)
    bind = ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, ber.encode_oid(ENTRY)) + ber.tlv(2, b"\x07"))
    tail = ber.encode_integer(0) * 2 + ber.tlv(ber.SEQUENCE, bind * 5)
    for number in range(answers):
        is_inside = number % 2
        body = spoilt(tail, chance) if is_inside else tail
        pdu = chance.choice((ber.RESPONSE, ber.RESPONSE, ber.REPORT, ber.GET))
        head = bytes((pdu,)) + ber.encode_length(6 + len(body)) + b"\x02\x04"
        data = theirs.template(head, body).with_id(1 << 24)
        with contextlib.suppress(ber.MalformedError, message.ReportError):
            whole, data = data, ours.opened(data if is_inside else spoilt(data, chance))
            # What was cut from nothing or put behind the end has changed nothing that is signed.
            opened_all_the_same += not is_inside and data != ours.opened(whole)
            reply = ber.read_reply(data)
            for oid, tag, start, end in ber.read_varbinds(data, reply.start, reply.end, 100):
                ber.oid_numbers(oid)
                ber.number(tag, data[start:end])
    return opened_all_the_same


def _session() -> Session:
    engine = Engine()
    engine.adopt(b"\x80\x00\x00\x00\x01agent", 3, 1000, 0.0)
    return Session(_KEYED, engine, Keyring(), lambda: 0.0)


def resident_mb() -> float:
    """Memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
