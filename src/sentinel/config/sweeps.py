"""[[discovery.sweeps]]: networks that the daemon searches for new devices by the calendar."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sentinel.config.document import Written
from sentinel.config.traps import Network
from sentinel.config.types import LabelName, PositiveDuration


def _several(written: Any) -> Any:
    return (written,) if isinstance(written, str) else written


def _some(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if not networks:
        raise ValueError("name at least one network")
    return networks


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class SweepSettings(Written):
    """[[discovery.sweeps]]: networks that the daemon searches for new devices by the calendar."""

    networks: Annotated[tuple[Network, ...], AfterValidator(_some)]
    """Networks such as "192.0.2.0/24", at most 65,536 addresses together; each is asked by one sweep only."""
    exclude: tuple[Network, ...] = ()
    """Networks and addresses among them that are never asked."""
    file: str = Field(min_length=1)
    """Target file that new devices are added to; `files` must name it. Nothing is ever removed from it."""
    auth: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(min_length=1)
    """Names of SNMP auths to try, in this order. Whoever listens at these addresses sees their communities."""
    at: Annotated[tuple[TimeOfDay, ...], BeforeValidator(_several)] = Field(default=("04:00",), min_length=1)
    """Time of day, or several, in the daemon's time zone."""
    days: tuple[Day, ...] = ()
    """Days of the week, such as `mon`; without them every day."""
    rate: int = Field(default=20, ge=1, le=1000)
    """Requests begun a second."""
    timeout: PositiveDuration = 2.0
    """Time for an answer, one repetition included."""
    port: int = Field(default=161, ge=1, le=65535)
    """UDP port to ask."""
    labels: dict[LabelName, str] = Field(default_factory=dict)
    """Labels of the targets that are added, such as site."""
