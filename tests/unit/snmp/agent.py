"""A small agent in the test's own loop, whose answers a test can bend in any way."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sentinel.collect.snmp import ber

Value = tuple[int, bytes]
"""Tag and content."""

END = (ber.END_OF_MIB_VIEW, b"")


@dataclass(frozen=True, slots=True)
class Request:
    version: int
    community: bytes
    pdu: int
    request_id: int
    first: int
    """non-repeaters of a GETBULK."""
    second: int
    """max-repetitions of a GETBULK."""
    oids: tuple[bytes, ...]


def read_request(data: bytes) -> Request:
    at = ber.request_id_place(data)
    version = data[data.index(b"\x02\x01") + 2]
    community_at = data.index(b"\x04", 4)
    community = data[community_at + 2 : community_at + 2 + data[community_at + 1]]
    pdu = next(byte for byte in (data[at - 2], data[at - 3], data[at - 4]) if 0xA0 <= byte <= 0xA8)
    size = data[at + 1]
    request_id = int.from_bytes(data[at + 2 : at + 2 + size], "big")
    at += 2 + size
    numbers = []
    for _ in range(2):
        numbers.append(int.from_bytes(data[at + 2 : at + 2 + data[at + 1]], "big"))
        at += 2 + data[at + 1]
    start = at + 2 if data[at + 1] < 0x80 else at + 2 + (data[at + 1] & 0x7F)
    oids = tuple(bind[0] for bind in ber.read_varbinds(data, start, len(data), 1000))
    return Request(version + 1, community, pdu, request_id, numbers[0], numbers[1], oids)


def varbind(oid: bytes, value: Value) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, oid) + ber.tlv(*value))


def response(request: Request, binds: Sequence[bytes], *, status: int = 0, index: int = 0) -> bytes:
    body = (
        ber.tlv(ber.INTEGER, request.request_id.to_bytes(4, "big"))
        + ber.encode_integer(status)
        + ber.encode_integer(index)
        + ber.tlv(ber.SEQUENCE, b"".join(binds))
    )
    head = ber.encode_integer(request.version - 1) + ber.tlv(ber.OCTET_STRING, request.community)
    return ber.tlv(ber.SEQUENCE, head + ber.tlv(ber.RESPONSE, body))


@dataclass
class Agent(asyncio.DatagramProtocol):
    """Answers from `rows` (dotted OID → value) as an honest agent does; `bend` may answer instead.

    `bend(request)` gives the datagrams to send, or None for the honest answer.
    """

    rows: Mapping[str, Value]
    bend: Callable[[Request], Sequence[bytes] | None] = lambda request: None
    limit: int = 1000
    """Varbinds of one answer."""
    seen: list[Request] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.load(self.rows)

    def load(self, rows: Mapping[str, Value]) -> None:
        ordered = sorted(
            (ber.oid_numbers(ber.encode_oid(oid)), ber.encode_oid(oid), value) for oid, value in rows.items()
        )
        self.rows = rows
        self._keys = [row[0] for row in ordered]
        self._rows = [(row[1], row[2]) for row in ordered]
        self._exact = dict(self._rows)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = read_request(data)
        self.seen.append(request)
        bent = self.bend(request)
        for reply in bent if bent is not None else [self.honest(request)]:
            self.transport.sendto(reply, addr)

    def honest(self, request: Request) -> bytes:
        if request.pdu == ber.GET:
            missing = (ber.NO_SUCH_INSTANCE, b"")
            binds = [varbind(oid, self._exact.get(oid, missing)) for oid in request.oids]
            absent = [number for number, oid in enumerate(request.oids, 1) if oid not in self._exact]
            if request.version == 1 and absent:
                return response(request, [], status=2, index=absent[0])
            return response(request, binds)
        places = [bisect_right(self._keys, ber.oid_numbers(oid)) for oid in request.oids]
        if request.pdu == ber.GET_NEXT:
            ended = [number for number, place in enumerate(places, 1) if place >= len(self._rows)]
            if request.version == 1 and ended:
                return response(request, [], status=2, index=ended[0])
            return response(
                request, [self._at(place, oid) for place, oid in zip(places, request.oids, strict=True)]
            )
        binds = [
            self._at(place + row, oid)
            for row in range(request.second)
            for place, oid in zip(places, request.oids, strict=True)
        ]
        return response(request, binds[: self.limit])

    def _at(self, place: int, asked: bytes) -> bytes:
        oid, value = self._rows[place] if place < len(self._rows) else (asked, END)
        return varbind(oid, value)


@asynccontextmanager
async def serving(agent: Agent, *, host: str = "127.0.0.1") -> AsyncIterator[Agent]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: agent, local_addr=(host, 0))
    try:
        yield agent
    finally:
        transport.close()


def integer(value: int) -> Value:
    return ber.INTEGER, value.to_bytes(
        (value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True
    )


def counter64(value: int) -> Value:
    return ber.COUNTER64, value.to_bytes(value.bit_length() // 8 + 1, "big")


def text(value: str) -> Value:
    return ber.OCTET_STRING, value.encode()


_LINE = re.compile(r"\.?([\d.]+) = (?:([\w-]+(?: [\w-]+)?): ?)?(.*)", re.DOTALL)
_UNSIGNED = {
    "Counter32": ber.COUNTER32,
    "Gauge32": ber.GAUGE32,
    "Counter64": ber.COUNTER64,
    "UInteger32": ber.UINTEGER32,
}


def read_walk(file: Path) -> dict[str, Value]:
    """A recorded walk: the output of `snmpbulkwalk -On` without MIBs."""
    rows: dict[str, Value] = {}
    whole = re.split(r"\n(?=\.1\.)", file.read_text().strip())
    for line in whole:
        match = _LINE.fullmatch(line)
        assert match, f"{file}: {line}"
        rows[match[1]] = _walk_value(match[2] or "", match[3])
    return rows


def _walk_value(kind: str, written: str) -> Value:
    if kind == "INTEGER":
        return integer(int(written))
    if kind in _UNSIGNED:
        number = int(written)
        return _UNSIGNED[kind], number.to_bytes(number.bit_length() // 8 + 1, "big")
    if kind == "Timeticks":
        ticks = int(written[1 : written.index(")")])
        return ber.TIME_TICKS, ticks.to_bytes(ticks.bit_length() // 8 + 1, "big")
    if kind == "STRING" or written in ('""', ""):
        return ber.OCTET_STRING, re.sub(r"\\(.)", r"\1", written[1:-1], flags=re.DOTALL).encode()
    if kind in ("Hex-STRING", "Opaque"):
        return ber.OPAQUE if kind == "Opaque" else ber.OCTET_STRING, bytes.fromhex(written)
    if kind == "OID":
        return ber.OBJECT_IDENTIFIER, ber.encode_oid(written) if written.strip(". ") else b"\x00"
    if kind == "IpAddress":
        return ber.IP_ADDRESS, bytes(map(int, written.split(".")))
    raise AssertionError(f"{kind}: {written}")
