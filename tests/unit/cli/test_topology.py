"""What devices say cannot become anything but a label of the graph."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from sentinel.cli.topology import dot
from tests.unit.cli.conftest import Sentinel
from tests.unit.web.fakes import Rooms, poll, vector

_TEXT = r'"(?:[^"\\]|\\.)*"'
_LINK = re.compile(rf"  {_TEXT} -- {_TEXT} \[taillabel={_TEXT}, headlabel={_TEXT}\];")
_NODE = re.compile(rf"  {_TEXT} \[label={_TEXT}, style=dashed\];")


@given(said=st.text(max_size=80))
def test_any_name_is_a_quoted_text_in_dot(said: str) -> None:
    node = {"key": f"/{said}", "name": said, "is_target": False, "state": ""}
    link = {"a": f"/{said}", "a_port": said, "b": "sw1", "b_port": said, "parent": "", "is_current": True}
    first, _, shown, drawn, last = dot([node], [link]).split("\n")
    assert (first, last) == ("graph topology {", "}")
    assert _NODE.fullmatch(shown)
    assert _LINK.fullmatch(drawn)


async def test_links_as_table_and_as_json(sentinel: Sentinel, url: str, rooms: Rooms) -> None:
    rooms.fleet.polls = [poll("sw1", "lldp"), poll("sw2", "lldp", up=False)]
    far = {"instance": "sw1", "lldpLocPortId": "Gi0/1", "lldpRemPortId": "Gi0/2", "lldpRemSysName": "sw2"}
    hostile = far | {"lldpLocPortId": "Gi0/3", "lldpRemSysName": "\x1b[31mred"}
    rooms.expressions.answers = {"last_over_time(lldpRemPortId[1h])": vector((far, 1.0), (hostile, 1.0))}
    told = await sentinel("topology", "--url", url)
    assert told.exit_code == 0
    assert "\x1b" not in told.stdout
    assert "no longer" in told.stdout
    found = json.loads((await sentinel("topology", "--url", url, "-o", "json")).stdout)
    assert {node["key"]: node["state"] for node in found["nodes"]} == {
        "/\x1b[31mred": "",
        "sw1": "up",
        "sw2": "down",
    }
    assert [(one["a"], one["b"], one["is_current"]) for one in found["links"]] == [
        ("/\x1b[31mred", "sw1", False),
        ("sw1", "sw2", False),
    ]
