"""Learned answers read what the general decoder reads, or say that they cannot."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.snmp import ber, message
from sentinel.collect.snmp.plan import Column
from sentinel.collect.snmp.shape import Album, learn
from sentinel.model.batch import Floats
from tests.unit.snmp.agent import Value, read_request, response, varbind

OID = ber.encode_oid("1.3.6.1.4.1.99999.1")
REQUEST = read_request(message.get(message.Community(2, b"public"), [OID]).with_id(0x01020304))
NUMBER = Column(OID, is_number=True)
TEXT = Column(OID, is_number=False)

signed = st.integers(-(2**31), 2**31 - 1).map(
    lambda value: (
        ber.INTEGER,
        value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True),
    )
)
unsigned = st.tuples(
    st.sampled_from((ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS, ber.COUNTER64)),
    st.binary(min_size=1, max_size=8) | st.binary(min_size=8, max_size=8).map(lambda tail: b"\x00" + tail),
)
text = st.binary(max_size=20).map(lambda content: (ber.OCTET_STRING, content))
values = st.lists(signed | unsigned | text, min_size=1, max_size=30)


def answer(rows: list[Value], request_id: int = 0x01020304) -> bytes:
    data = response(
        REQUEST, [varbind(OID + ber.encode_numbers([row]), value) for row, value in enumerate(rows)]
    )
    at = ber.request_id_place(data) + 2
    return data[:at] + request_id.to_bytes(4, "big") + data[at + 4 :]


class Learned:
    """An album of one answer."""

    def __init__(self, data: bytes, columns: list[Column | None]) -> None:
        reply = ber.read_reply(data)
        binds = ber.read_varbinds(data, reply.start, reply.end, 100)
        shape, self.numbers = learn(data, ber.request_id_place(data) + 2, binds, columns)
        self._album = Album([len(self.numbers)])
        self._album.learn({0: shape})

    def read(self, data: bytes, cells: Floats) -> bool:
        if len(data) != self._album.lengths[0]:
            return False
        return not self._album.read([data], cells)


def decoded(rows: list[Value], columns: list[Column | None]) -> list[float]:
    found = []
    for (tag, content), column in zip(rows, columns, strict=True):
        value = column.number(tag, content) if column and column.is_number else None
        found.append(np.nan if value is None else value)
    return found


@settings(max_examples=300, deadline=None)
@given(values, st.data())
def test_a_shape_reads_what_the_decoder_reads_or_refuses(rows: list[Value], data: st.DataObject) -> None:
    asked_for = data.draw(st.integers(0, len(rows)))
    columns = [
        data.draw(st.sampled_from((NUMBER, TEXT))) if row < asked_for else None for row in range(len(rows))
    ]
    shape = Learned(answer(rows), columns)
    others = [
        (tag, data.draw(st.just(content) | st.binary(min_size=len(content), max_size=len(content))))
        for tag, content in rows
    ]
    cells = np.full(asked_for, np.nan)
    if shape.read(answer(others, 0x05060708), cells):
        np.testing.assert_array_equal(cells, decoded(others, columns)[:asked_for])
        for (_, before), (_, after), column in zip(rows, others, columns, strict=True):
            assert before == after or column is not TEXT
    cells = np.full(asked_for, np.nan)
    assert shape.read(answer(rows, 0x0A0B0C0D), cells)
    np.testing.assert_array_equal(cells, decoded(rows, columns)[:asked_for])


@given(values, values)
def test_an_answer_with_other_rows_is_not_of_the_shape(rows: list[Value], others: list[Value]) -> None:
    shape = Learned(answer(rows), [NUMBER] * len(rows))
    same_frame = [(tag, len(content)) for tag, content in rows] == [
        (tag, len(content)) for tag, content in others
    ]
    if not same_frame:
        assert not shape.read(answer(others), np.empty(len(rows)))


def test_an_error_status_is_not_of_the_shape() -> None:
    rows: list[Value] = [(ber.INTEGER, b"\x01")]
    shape = Learned(answer(rows), [NUMBER])
    refused = response(REQUEST, [varbind(OID + b"\x00", rows[0])], status=5, index=1)
    assert len(refused) == len(answer(rows))
    assert not shape.read(refused, np.empty(1))
