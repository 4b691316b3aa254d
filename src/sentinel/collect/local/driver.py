"""The module `local`: the machine Sentinel runs on, in the same series as the module `linux` over SSH."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.local import machine
from sentinel.collect.local.adjtimex import timex_text
from sentinel.collect.local.process import OwnProcess
from sentinel.collect.ssh.assemble import Assembly
from sentinel.collect.ssh.modules import SECTION_TIMEOUT
from sentinel.collect.ssh.parsers import Parser, Part, Shapes, parsers
from sentinel.model.batch import Layout, Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

Read = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class _Section:
    """One text of this machine between polls."""

    name: str
    parser: Parser
    read: Read
    every: float = 0.0
    """Seconds between readings; 0: with every poll."""
    part: Part | None = None
    names: frozenset[str] = field(default_factory=frozenset)
    read_at: float = -np.inf
    reason: str = ""
    duration: float = 0.0
    task: asyncio.Task[bytes] | None = None
    """A reading that outlived its poll: a thread stuck in statvfs cannot be ended, only waited for."""


class LocalCollector:
    """See the protocol Collector. Files are read at once; what may block is read in a thread with a deadline."""

    def __init__(self, name: str, *, clock: Clock, failed: Counter) -> None:
        known = parsers()
        self._name = name
        self._clock = clock
        self._failed = failed
        self._shapes = Shapes()
        self._sections = [
            _Section("proc", known["proc"], _at_once(machine.proc_text)),
            _Section(
                "filesystem", known["filesystem"], _in_thread(partial(machine.filesystem_text, remote=False))
            ),
            _Section(
                "filesystem_remote",
                known["filesystem_remote"],
                _in_thread(partial(machine.filesystem_text, remote=True)),
                every=60.0,
            ),
            _Section("queues", known["queues"], _at_once(machine.queues_text), every=30.0),
            _Section("interfaces", known["interfaces"], _files("interfaces"), every=60.0),
            _Section("timex", known["timex"], _at_once(timex_text), every=30.0),
            # Sensors and firmware may take their time.
            _Section("hardware", known["hardware"], _in_thread(machine.hardware_text), every=60.0),
            _Section("cpus", known["cpus"], _files("cpus"), every=60.0),
            _Section("storage", known["storage"], _files("storage"), every=60.0),
            _Section("textfile", known["textfile"], _at_once(machine.textfile_text), every=60.0),
            _Section("disks", known["disks"], _files("disks"), every=600.0),
            _Section("identity", known["identity"], _at_once(machine.identity_text), every=600.0),
            _Section("uname", known["uname"], _at_once(machine.uname_text)),
            _Section("systemd", known["systemd"], machine.systemd_text, every=120.0),
        ]
        self._assembly = Assembly([section.parser for section in self._sections])
        self._process = OwnProcess()
        self._layout: tuple[Layout, Layout] | None = None

    async def poll(self, *, at: float, timeout: float) -> Reading:
        until = asyncio.get_running_loop().time() + timeout * 0.9
        now = self._clock.monotonic()
        for section in self._sections:
            if section.part is None or now - section.read_at >= section.every - 1.0:
                await self._refresh(section, now, until)
        return self._reading()

    async def close(self) -> None:
        for section in self._sections:
            if section.task is not None:
                section.task.cancel()
                section.task = None

    async def _refresh(self, section: _Section, now: float, until: float) -> None:
        started = self._clock.monotonic()
        patience = 0.0
        if section.task is None:
            section.task = asyncio.ensure_future(section.read())
            patience = max(0.0, min(SECTION_TIMEOUT, until - asyncio.get_running_loop().time()))
        done, _ = await asyncio.wait({section.task}, timeout=patience)
        section.duration = self._clock.monotonic() - started
        if not done:
            self._fail(section, "stuck")
            return
        task, section.task = section.task, None
        try:
            text = task.result()
        except OSError:
            self._fail(section, "failed")
            return
        last = section.part.shape if section.part is not None else None
        part = self._shapes.read(section.parser, text, last)
        if not any(part.shape.success.values()):
            self._fail(section, "failed")
            return
        if section.reason:
            log.info("section read again", extra={"facts": {"target": self._name, "section": section.name}})
        section.part, section.reason, section.read_at = part, "", now
        section.names = part.shape.names or section.parser.names

    def _fail(self, section: _Section, reason: str) -> None:
        self._failed.labels(reason).inc()
        if reason != section.reason:
            facts = {"target": self._name, "section": section.name, "reason": reason}
            log.warning("section not read", extra={"facts": facts})
        section.part, section.reason = None, reason
        section.names = section.names or section.parser.names

    def _reading(self) -> Reading:
        parts = [section.part for section in self._sections]
        if all(part is None for part in parts):
            raise PollError("failed", f"{self._name}: nothing of this machine can be read: is /proc hidden?")
        machine_layout, values = self._assembly.of(parts, [section.duration for section in self._sections])
        if self._layout is None or self._layout[0] is not machine_layout:
            own = self._process.layout
            both = Layout(machine_layout.series + own.series, {**machine_layout.families, **own.families})
            self._layout = machine_layout, both
        failed = [section for section in self._sections if section.reason]
        return Reading(
            self._layout[1],
            np.concatenate([values, self._process.values()]),
            frozenset[str]().union(*(section.names for section in failed)),
            tuple(sorted({section.reason for section in failed})),
        )


class LocalDriver:
    """See the protocol Driver."""

    def __init__(self, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._failed = Counter(
            "sentinel_local_failed_sections_total",
            "Sections of the machine Sentinel runs on that could not be read.",
            ["reason"],
            registry=registry,
        )

    def open(self, target: Target, module: str) -> Collector:
        return LocalCollector(target.name, clock=self._clock, failed=self._failed)

    async def close(self) -> None:
        return None


def _at_once(read: Callable[[], bytes]) -> Read:
    async def reading() -> bytes:
        return read()

    return reading


def _files(section: str) -> Read:
    return _in_thread(partial(machine.files_text, section))


def _in_thread(read: Callable[[], bytes]) -> Read:
    """In a thread that nobody waits for at exit: one that hangs in statvfs never ends."""

    async def reading() -> bytes:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[bytes] = loop.create_future()

        def give(text: bytes | None) -> None:
            if not result.done():
                result.set_result(text or b"")

        def work() -> None:
            text = None
            try:
                text = read()
            finally:
                with suppress(RuntimeError):  # the loop has closed meanwhile
                    loop.call_soon_threadsafe(give, text)

        threading.Thread(target=work, name="reading", daemon=True).start()
        return await result

    return reading
