from __future__ import annotations

import pytest

from sentinel.model.alert import Alert, AlertState
from sentinel.model.incident import Grade, IncidentState
from sentinel.web.board import TileState, natural, read_board, tile, walls
from tests.unit.web.fakes import Rooms, alert, incident, poll

FIRING, UNKNOWN = AlertState.FIRING, AlertState.UNKNOWN


@pytest.mark.parametrize(
    ("ups", "alerts", "state"),
    [
        ([True, True], [], TileState.OK),
        ([False, False], [(FIRING, "critical")], TileState.DOWN),
        ([True, False], [], TileState.PARTIAL),
        ([True, False], [(FIRING, "warning")], TileState.WARNING),
        ([True], [(FIRING, "critical")], TileState.CRITICAL),
        ([True], [(FIRING, "info")], TileState.WARNING),
        ([True], [(UNKNOWN, "critical")], TileState.UNKNOWN),
        ([None], [], TileState.WAITING),
        ([None, True], [], TileState.OK),
    ],
)
def test_a_tile_shows_the_worst(
    ups: list[bool | None], alerts: list[tuple[AlertState, str]], state: TileState
) -> None:
    polls = [poll("a", f"m{index}", up=up) for index, up in enumerate(ups)]
    concerning: list[Alert] = [alert("A", "a", state=state, severity=severity) for state, severity in alerts]
    assert tile("a", polls, concerning).state is state


def test_a_tile_says_why() -> None:
    down = [poll("a", "linux"), poll("a", "probe", up=False, detail="refused")]
    assert tile("a", down, []).detail == "probe: refused"
    assert tile("a", [poll("a")], [alert("DiskFull", "a"), alert("Slow", "a")]).detail == "DiskFull, Slow"


def test_targets_are_grouped_by_site_else_by_module_in_natural_order() -> None:
    polls = [
        poll("sw10", "if_mib", labels={"site": "north"}),
        poll("sw9", "if_mib", labels={"site": "north"}),
        poll("sw9", "system", labels={"site": "north"}),
        poll("web1", "linux"),
    ]
    shown = [(site.name, [one.name for one in site.tiles]) for site in walls(polls, [])]
    assert shown == [("linux", ["web1"]), ("north", ["sw9", "sw10"])]


def test_a_pending_alert_colours_nothing() -> None:
    (site,) = walls([poll("a")], [alert("A", "a", state=AlertState.PENDING)])
    assert site.tiles[0].state is TileState.OK
    assert site.tiles[0].alerts == 0


def test_natural_order() -> None:
    assert sorted(["b", "a10", "a9", "10", "9"], key=natural) == ["9", "10", "a9", "a10", "b"]


async def test_live_incidents_come_gravest_first_then_unowned_then_oldest() -> None:
    rooms = Rooms()
    given = [
        incident(1, Grade.III, age=100),
        incident(2, Grade.II, IncidentState.ACKNOWLEDGED, age=900),
        incident(3, Grade.II, age=50),
        incident(4, Grade.II, age=60),
        incident(5, Grade.I, IncidentState.RESOLVED),
    ]
    rooms.incidents.stories = {story.incident.id: story for story in given}
    board = await read_board(rooms.faces())
    assert [shown.id for shown in board.incidents] == [4, 3, 2, 1]
    assert board.grades == {Grade.II: 3, Grade.III: 1}
    assert board.open_incidents == 4
