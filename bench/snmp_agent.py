"""A simulated switch for benchmarks: answers GET, GETNEXT and GETBULK fast, with counters that move.

python -m bench.snmp_agent PORTS [DEVICES [SILENT [OWN]]]

Prints its UDP ports, one for each device, then serves until its input ends. The last SILENT devices never answer.
With OWN = 1 each device has its own port descriptions, addresses and sizes of counters.
"""

from __future__ import annotations

import resource
import selectors
import socket
import sys
import time
from bisect import bisect_right
from collections.abc import Callable

from sentinel.collect.snmp import ber

IF_ENTRY, IF_X_ENTRY = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"

COLUMNS = tuple(f"{IF_ENTRY}.{n}" for n in (*range(1, 12), 13, 14, 16, 17, 19, 20)) + tuple(
    f"{IF_X_ENTRY}.{n}" for n in (1, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 19)
)
"""Thirty columns of ifTable and ifXTable."""

MAX_ANSWER = 1472
"""Bytes: what fits one Ethernet frame, as most switches bound their answers."""

Encoder = Callable[[float, int], bytes]
"""From the time and the number of the device."""


def _fixed(tag: int, content: bytes) -> Encoder:
    whole = ber.tlv(tag, content)
    return lambda now, device: whole


def _own(tag: int, content: Callable[[int], bytes]) -> Encoder:
    """What each device has its own of."""
    return lambda now, device: ber.tlv(tag, content(device))


def _counter(tag: int, base: int, per_second: int) -> Encoder:
    bits = (1 << (64 if tag == ber.COUNTER64 else 32)) - 1

    def encode(now: float, device: int) -> bytes:
        value = (base >> device * 5 % 33) + int(now * per_second) & bits
        size = value.bit_length() // 8 + 1
        return bytes((tag, size)) + value.to_bytes(size, "big")

    return encode


def _number(tag: int, value: int) -> Encoder:
    return _fixed(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _value(oid: str, row: int) -> Encoder:
    table, _, last = oid.rpartition(".")
    column = int(last)
    if table == IF_ENTRY:
        if column == 2:
            return _fixed(ber.OCTET_STRING, f"GigabitEthernet1/0/{row}".encode())
        if column == 6:
            return _own(
                ber.OCTET_STRING,
                lambda device: b"\x02\x00" + device.to_bytes(2, "big") + row.to_bytes(2, "big"),
            )
        if column in (1, 3, 4, 7, 8):
            return _number(ber.INTEGER, {1: row, 3: 6, 4: 1500, 7: 1, 8: 1}[column])
        if column == 5:
            return _number(ber.GAUGE32, 1_000_000_000)
        if column == 9:
            return _number(ber.TIME_TICKS, 4711 * row)
        is_error = column in (13, 14, 19, 20)
        return _counter(ber.COUNTER32, row if is_error else 10**9 + row, 0 if is_error else 2000 * row)
    if column == 1:
        return _fixed(ber.OCTET_STRING, f"Gi1/0/{row}".encode())
    if column == 18:
        return _own(ber.OCTET_STRING, lambda device: f"desk {row}, floor {device}".encode())
    if column in (15, 17):
        return _number(ber.GAUGE32 if column == 15 else ber.INTEGER, 1000 if column == 15 else 1)
    if column == 19:
        return _number(ber.TIME_TICKS, 0)
    return _counter(ber.COUNTER64, 10**12 * column + row, 100_000 * row)


class Switch:
    """The switch's values and how to answer for them."""

    def __init__(self, ports: int) -> None:
        rows = {}
        for oid in COLUMNS:
            for row in range(1, ports + 1):
                encoded = ber.encode_oid(f"{oid}.{row}")
                rows[ber.oid_numbers(encoded)] = (encoded, _value(oid, row))
        self._keys = sorted(rows)
        self._rows = [rows[key] for key in self._keys]

    def answer(self, data: bytes, device: int = 0) -> bytes | None:
        at = ber.request_id_place(data)
        request_id = data[at : at + 2 + data[at + 1]]
        at += len(request_id)
        first, second = data[at + 2], data[at + 5]
        length, start = (data[at + 7], at + 8) if data[at + 7] < 0x80 else ber._read_length(data, at + 7)
        oids = [ber.oid_numbers(bind[0]) for bind in ber.read_varbinds(data, start, start + length, 1000)]
        pdu = data[ber.request_id_place(data) - 2] if data[ber.request_id_place(data) - 2] >= 0xA0 else None
        pdu = pdu or data[ber.request_id_place(data) - 3]
        places = [bisect_right(self._keys, oid) for oid in oids]
        if pdu == ber.GET_BULK:
            binds = self._bulk(places, device, first, second)
        else:
            binds = [self._bind(place, device) for place in places]
        varbinds = ber.tlv(ber.SEQUENCE, b"".join(binds))
        body = ber.tlv(ber.RESPONSE, request_id + b"\x02\x01\x00\x02\x01\x00" + varbinds)
        return ber.tlv(ber.SEQUENCE, b"\x02\x01\x01" + ber.tlv(ber.OCTET_STRING, b"public") + body)

    def _bulk(self, places: list[int], device: int, non_repeaters: int, repetitions: int) -> list[bytes]:
        binds = [self._bind(place, device) for place in places[:non_repeaters]]
        size = 48 + sum(map(len, binds))
        for row in range(repetitions):
            for place in places[non_repeaters:]:
                bind = self._bind(place + row, device)
                size += len(bind)
                if size > MAX_ANSWER:
                    return binds
                binds.append(bind)
        return binds

    def _bind(self, place: int, device: int) -> bytes:
        if place >= len(self._rows):
            oid = self._rows[-1][0]
            return ber.tlv(
                ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, oid) + bytes((ber.END_OF_MIB_VIEW, 0))
            )
        oid, value = self._rows[place]
        return ber.tlv(ber.SEQUENCE, ber.tlv(ber.OBJECT_IDENTIFIER, oid) + value(time.monotonic(), device))


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    ports, devices, silent, own = [*given, *(0, 1, 0, 0)[len(given) :]]
    switch = Switch(ports)
    _allow_files(devices + 64)
    sockets = [_socket() for _ in range(devices)]
    print(*(sock.getsockname()[1] for sock in sockets), flush=True)
    ready = selectors.DefaultSelector()
    for number, sock in enumerate(sockets[: devices - silent]):
        ready.register(sock, selectors.EVENT_READ, number * own)
    ready.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin:
                return
            assert isinstance(key.fileobj, socket.socket)
            data, source = key.fileobj.recvfrom(65535)
            reply = switch.answer(data, key.data)
            if reply is not None:
                key.fileobj.sendto(reply, source)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


if __name__ == "__main__":
    main()
