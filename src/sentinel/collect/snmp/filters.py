"""Dynamic filters: of some columns only the rows are read in which another column has a certain value.

The deciding column is read first, by a collector of its own, and the rest by another one that gets single
instances of the rows it allows. While the deciding values stay the same, so does the second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from sentinel.collect.collector import PollError
from sentinel.collect.snmp.format import SUFFIX, DynamicFilter, Index, Metric
from sentinel.collect.snmp.modules import SnmpModule, targeted, without
from sentinel.collect.snmp.on_demand import CountingCollector
from sentinel.collect.snmp.plan import Plan, plan_of
from sentinel.model.batch import EMPTY_LAYOUT, Layout, Reading

_ROW, _VALUE = "row", "value"

Open = Callable[[Plan], CountingCollector]
"""A collector for a plan, of the same device."""

Rows = tuple[tuple[str, ...] | None, ...]
"""Of each filter the rows it allows; None: it could not be read, so it does not filter."""


class FilteredCollector:
    """Collector of a module with dynamic filters."""

    def __init__(self, module: SnmpModule, open_: Open) -> None:
        self._module, self._open = module, open_
        self._asking = open_(plan_of(_questions(module)))
        self._asked: Layout = EMPTY_LAYOUT
        self._rows: Rows | None = None
        self._reading: CountingCollector | None = None

    async def poll(self, *, at: float, timeout: float) -> Reading:
        """
        Raises:
            PollError: nothing could be read.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout
        try:
            answer = await self._asking.poll(at=at, timeout=timeout)
        except PollError as error:
            # An agent that does not know the column is read whole, as snmp_exporter does it.
            if error.reason != "error_status":
                raise
            rows: Rows = (None,) * len(self._module.filters)
        else:
            unchanged = answer.layout is self._asked and self._rows is not None and not answer.unread
            rows = self._rows if unchanged and self._rows is not None else self._allowed(answer)
            self._asked = answer.layout
        if self._reading is None or rows != self._rows:
            if self._reading is not None:
                await self._reading.close()
            self._rows = rows
            self._reading = self._open(plan_of(filtered(self._module, rows)))
        return await self._reading.poll(at=at, timeout=max(ends - loop.time(), 0.1))

    @property
    def values_read(self) -> int:
        """Values that the last poll gave, deciding ones included."""
        return self._asking.values_read + (self._reading.values_read if self._reading is not None else 0)

    async def close(self) -> None:
        await self._asking.close()
        if self._reading is not None:
            await self._reading.close()

    def _allowed(self, answer: Reading) -> Rows:
        """Rows by filter; where a value could not be read this time, those known from before."""
        before = self._rows or (None,) * len(self._module.filters)
        names = [_name(self._module, one) for one in self._module.filters]
        return tuple(
            known if name in answer.unread else _rows(one, answer, name)
            for one, name, known in zip(self._module.filters, names, before, strict=True)
        )


def filtered(module: SnmpModule, rows: Sequence[tuple[str, ...] | None]) -> SnmpModule:
    """The module with its filters put to work: of their targets only these rows are got."""
    for one, allowed in zip(module.filters, rows, strict=True):
        if allowed is not None:
            columns = targeted(module, one.targets)
            rest = without(module, one.targets)
            got = tuple(f"{column}.{row}" for column in columns for row in allowed)
            module = replace(rest, get=tuple(dict.fromkeys(rest.get + got)))
    return module


def _questions(module: SnmpModule) -> SnmpModule:
    """What has to be known before: the text of every deciding column, by row."""
    index = Index.model_construct(labelname=_ROW, type=SUFFIX)
    by_oid = {one.oid: one for one in module.filters}
    metrics = tuple(
        Metric.model_construct(name=_name(module, one), oid=oid, type="DisplayString", indexes=(index,))
        for oid, one in by_oid.items()
    )
    oids = tuple(by_oid)
    return replace(module, walk=oids, get=(), metrics=metrics, filters=())


def _name(module: SnmpModule, one: DynamicFilter) -> str:
    return f"{_VALUE}_{[other.oid for other in module.filters].index(one.oid)}"


def _rows(one: DynamicFilter, answer: Reading, name: str) -> tuple[str, ...]:
    return tuple(
        labels[_ROW]
        for labels in answer.layout.series
        if labels.name == name and any(pattern.occurs_in(labels.get(name, "")) for pattern in one.values)
    )
