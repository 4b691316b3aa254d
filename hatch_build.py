"""Build hook: htmx and its extension for server-sent events come out of the django-htmx wheel.

The wheel is a build requirement only; nothing of Django is imported or shipped.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = "src/sentinel/web/static/vendor"
FILES = {"htmx-2.min.js": "htmx.js", "ext/hx-sse-2.min.js": "sse.js"}


class VendorHook(BuildHookInterface[Any]):
    """Copies the two files into the source tree, and into the wheel, which ignored files do not reach."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        spec = find_spec("django_htmx")
        if spec is None or spec.origin is None:
            raise RuntimeError("django-htmx is missing from the build environment")
        source = Path(spec.origin).parent / "static" / "django_htmx"
        vendor = Path(self.root) / VENDOR
        vendor.mkdir(parents=True, exist_ok=True)
        for name, shipped in FILES.items():
            shutil.copyfile(source / name, vendor / shipped)
            if self.target_name == "wheel" and version != "editable":
                build_data["force_include"][str(vendor / shipped)] = f"sentinel/web/static/vendor/{shipped}"
