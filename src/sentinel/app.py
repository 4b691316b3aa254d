"""Wiring: which parts the daemon has and how they hang together. Reads as a table of contents."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import AsyncExitStack, closing, nullcontext
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from sentinel import __version__
from sentinel.care import Care
from sentinel.collect.drivers import Drivers
from sentinel.collect.poll import PollLoops
from sentinel.collect.traps.receiver import Traps
from sentinel.collect.traps.secure import engine_id_of
from sentinel.collect.uplink.uplink import Uplink
from sentinel.config.settings import load_settings
from sentinel.db.database import Database
from sentinel.db.pulse import last_alive
from sentinel.faces import build_faces
from sentinel.heartbeats import Heartbeats
from sentinel.incidents.incidents import Incidents
from sentinel.incidents.ledger import Ledger
from sentinel.incidents.received.received import Received
from sentinel.keeping import open_history, open_intake, open_interface_numbers, open_remote_writers
from sentinel.model.labels import Labels
from sentinel.notify.chart.charts import Charts
from sentinel.notify.chart.origin import origin_of
from sentinel.promql.engine import Engine
from sentinel.promql.service import QueryService
from sentinel.reload import Configuration, Reloader, build
from sentinel.rules.engine import RuleEngine
from sentinel.runtime.clock import Clock, SystemClock
from sentinel.runtime.follow import follow_wall_clock, watch_event_loop
from sentinel.runtime.logs import set_up_logs
from sentinel.runtime.memory import keep_freed_memory
from sentinel.runtime.notify import Systemd
from sentinel.runtime.sockets import listen_datagrams, passed_datagram_sockets
from sentinel.runtime.supervise import Supervisor
from sentinel.series.head import Head
from sentinel.series.remote.intake import LAG_SPARE
from sentinel.sweeps import Sweeps
from sentinel.telling import Telling
from sentinel.web.app import create_app
from sentinel.web.server import listen, serve

log = logging.getLogger(__name__)

MINUTE = 60.0
STUCK = 20.0
"""Seconds without a sign of life from the rule loop after which the watchdog is no longer fed."""


def run_daemon(path: Path) -> None:
    """The daemon on a configuration, until SIGTERM or SIGINT.

    Raises:
        UnusableError: the configuration or the database cannot be used.
        ListenError: the address cannot be listened on.
    """
    keep_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(path.resolve()))


async def _run(path: Path) -> None:
    settings = load_settings(path)
    set_up_logs(settings.daemon.log_level)
    clock, registry, systemd, stop = SystemClock(), CollectorRegistry(), Systemd(), asyncio.Event()
    head = Head(retention=settings.history.memory, lag=settings.intake.lag + LAG_SPARE)
    engine = Engine(head, horizon=settings.history.reach)
    running = build(path, engine)
    async with AsyncExitStack() as stack:
        channel = stack.enter_context(listen(*settings.web.address))
        trap_channel = stack.enter_context(_trap_channel(running) or nullcontext())
        db = await stack.enter_async_context(
            Database.open(settings.store.url, clock=clock, data_dir=running.data_dir)
        )
        history = await stack.enter_async_context(open_history(running, engine, clock, registry))
        writers = await stack.enter_async_context(open_remote_writers(running, head, clock, registry))
        intake = stack.enter_context(open_intake(running, head, clock, registry))
        numbers = await stack.enter_async_context(open_interface_numbers(db, running))
        drivers = Drivers(clock, registry, ssh_connects=settings.collect.ssh_connects, numbers=numbers)
        stack.push_async_callback(drivers.close)
        loops = PollLoops(head, clock, registry, concurrency=settings.collect.concurrency)
        queries = stack.enter_context(closing(QueryService(engine, clock)))
        uplink = Uplink(
            clock,
            registry,
            poll_now=loops.poll_now,
            look_again=lambda: telling.keeper.look_at_all(),  # noqa: PLW0108  there is no telling yet
        )
        telling = await stack.enter_async_context(
            Telling.open(
                db,
                running,
                clock,
                registry,
                is_down=loops.is_down,
                uplink=uplink.doubt,
                drawing=Charts(queries, clock, lambda labels: origin_of(labels, reloader.running.groups)),
            )
        )
        ledger = Ledger(
            db,
            telling.dispatch,
            clock=clock,
            registry=registry,
            criticality_of=lambda name: _criticality(reloader.running, name),
            committed=telling.committed,
        )
        incidents = Incidents(db, clock, telling.dispatch, committed=telling.committed)
        rules = RuleEngine(
            running.groups,
            expressions=engine,
            readability=head,
            ledger=ledger,
            recorder=head,
            clock=clock,
            registry=registry,
            external_labels=Labels(settings.rules.external_labels),
            external_url=settings.external_url,
            grace=settings.care.restart_grace,
            is_waiting=lambda labels: loops.is_waiting(labels) or intake.is_waiting(labels),
            may_be_sent=intake.may_send,
        )
        received = Received(
            ledger,
            clock=clock,
            registry=registry,
            resolve_timeout=settings.resolve_timeout,
            most=settings.intake.max_alerts,
        )
        await _restore_alerts(db, ledger, rules, received, clock)
        traps = Traps(
            head,
            loops,
            rules.evaluate_soon,
            engine_id=engine_id_of(running.data_dir.resolve()),
            clock=clock,
            registry=registry,
        )

        heartbeats = await stack.enter_async_context(
            Heartbeats.open(
                settings, db, clock, registry, polls=loops, rules=rules, ledger=ledger, sender=telling.sender
            )
        )

        def swap(wanted: Configuration) -> None:
            receivers = telling.receivers(wanted)  # the only steps that may fail come first
            beats = heartbeats.built(wanted.settings)
            _poll(loops, drivers, uplink, wanted)
            rules.replace(wanted.groups)
            _adopt(rules, traps, received, wanted)
            dispatch = telling.adopt(wanted, receivers)
            ledger.use(dispatch)
            incidents.use(dispatch)
            sweeps.adopt()
            heartbeats.use(beats)

        reloader = Reloader(running, engine, registry, clock, swap)
        _poll(loops, drivers, uplink, running)
        _adopt(rules, traps, received, running)
        care = Care(db, registry, lambda: reloader.running)
        sweeps = Sweeps(clock, registry, lambda: reloader.running, reloader.reread_targets)
        faces = build_faces(
            settings,
            clock=clock,
            registry=registry,
            head=head,
            engine=engine,
            queries=queries,
            rules=rules,
            ledger=ledger,
            incidents=incidents,
            loops=loops,
            db=db,
            reload=reloader.reload,
            desk=telling.desk,
            silences=telling.silences,
            explaining=telling.explainer,
            received=received,
            dispatch=lambda: telling.dispatch,
            drivers=drivers,
            running=lambda: reloader.running,
            intake=intake,
        )
        app = create_app(faces, registry)
        _obey_signals(stop, reloader, systemd)
        systemd.ready(f"watching {len(running.targets)} targets")
        log.info("ready", extra={"facts": _facts(running)})
        await Supervisor(clock, registry).run(
            {
                "polls": loops.run,
                "interface numbers": numbers.run,
                "rules": rules.run,
                **({"traps": lambda: traps.run(trap_channel)} if trap_channel is not None else {}),
                "received alerts": received.run,
                "ledger": ledger.run,
                **telling.parts,
                **({"history": history.run} if history is not None else {}),
                **{f"remote write {name}": writer.run for name, writer in writers.items()},
                "intake": intake.run,
                "web": lambda: serve(app, channel),
                "care": care.run,
                "sweeps": sweeps.run,
                "clock": lambda: follow_wall_clock(
                    clock,
                    (
                        head.shift,
                        rules.shift,
                        received.shift,
                        traps.shift,
                        telling.shift,
                        *([history.shift] if history is not None else []),
                    ),
                ),
                "event loop": lambda: watch_event_loop(registry),
                **heartbeats.parts,
                "uplink": uplink.run,
                "watchdog": lambda: _feed_watchdog(systemd, rules, clock),
            },
            stop,
        )
        log.info("stopped")


def _facts(running: Configuration) -> dict[str, object]:
    url = running.settings.external_url
    return {"version": __version__, "targets": len(running.targets), "url": url}


def _obey_signals(stop: asyncio.Event, reloader: Reloader, systemd: Systemd) -> None:
    """SIGTERM and SIGINT stop, SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def end() -> None:
        systemd.stopping()
        stop.set()

    async def reload() -> None:
        systemd.reloading()
        problems = await reloader.reload()
        systemd.ready("reload refused, see the journal" if problems else "configuration reloaded")

    def again() -> None:
        task = loop.create_task(reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, again)


async def _feed_watchdog(systemd: Systemd, rules: RuleEngine, clock: SystemClock) -> None:
    """Tell systemd that the daemon lives for as long as the rule loop does."""
    pause = systemd.watchdog_seconds / 3 or STUCK
    while True:
        if clock.monotonic() - rules.last_tick < STUCK:
            systemd.alive()
        await asyncio.sleep(pause)


def _trap_channel(configuration: Configuration) -> socket.socket | None:
    """Where traps arrive: the socket that systemd passes, else the one that the configuration names."""
    passed = passed_datagram_sockets()
    if passed:
        return passed[0]
    address = configuration.settings.traps.address
    hint = "below port 1024 let systemd open it (deploy/sentinel-traps.socket), or change [traps] listen"
    return listen_datagrams(*address, hint) if address is not None else None


async def _restore_alerts(
    db: Database, ledger: Ledger, rules: RuleEngine, received: Received, clock: Clock
) -> None:
    """As they were when the daemon ended."""
    alerts = await ledger.load_alerts()
    received.restore(alerts, clock.now())
    rules.restore(alerts, clock.now(), stopped_at=await last_alive(db))


def _poll(loops: PollLoops, drivers: Drivers, uplink: Uplink, configuration: Configuration) -> None:
    settings, intervals = configuration.settings, [group.interval for group in configuration.groups]
    uplink.use(settings.uplink, configuration.targets, settle=1.0 + min(max(intervals, default=0.0), MINUTE))
    loops.heard = uplink.heard
    drivers.adopt(configuration.modules, settings.auth)
    loops.replace(drivers.watches(configuration.targets, configuration.modules, settings.auth))


def _adopt(rules: RuleEngine, traps: Traps, received: Received, configuration: Configuration) -> None:
    settings = configuration.settings
    rules.retain(_instances(configuration))
    received.adopt(resolve_timeout=settings.resolve_timeout, most=settings.intake.max_alerts)
    traps.adopt(
        settings.traps,
        configuration.targets,
        settings.auth,
        configuration.modules.snmp,
        interval=settings.rules.interval,
    )


def _instances(configuration: Configuration) -> set[str]:
    return {target.name for target in configuration.targets} | {"sentinel"}


def _criticality(configuration: Configuration, name: str) -> int:
    return configuration.criticality.get(name, 3)
