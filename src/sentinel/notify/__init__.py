"""Routes, outbox, sender and receivers: from an incident change to a person."""

from sentinel.notify.dispatch import Dispatch
from sentinel.notify.receivers import build_receivers
from sentinel.notify.sender import Sender

__all__ = ["Dispatch", "Sender", "build_receivers"]
