"""From rounds of questions to a verdict that does not jump. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    is_up: bool = True
    contrary: int = 0
    """Rounds in a row that say otherwise."""

    @property
    def is_in_doubt(self) -> bool:
        return self.contrary > 0


def step(standing: Standing, has_answer: bool | None, needed: int) -> Standing:
    """
    Args:
        has_answer: whether any anchor answered; None: none could be asked, which says nothing.
        needed: rounds in a row that turn the verdict.
    """
    if has_answer is None:
        return Standing(True)  # who cannot ask does not keep anybody from being told
    if has_answer is standing.is_up:
        return Standing(standing.is_up)
    contrary = standing.contrary + 1
    return Standing(has_answer) if contrary >= needed else Standing(standing.is_up, contrary)
