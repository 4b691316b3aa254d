"""An Alertmanager's configuration, turned into Sentinel's words.

Source: Alertmanager docs/configuration.md, config/config.go and config/notifiers.go (defaults).
"""

from __future__ import annotations

from sentinel.config.alertmanager.convert import Converted, convert

__all__ = ["Converted", "convert"]
