"""pysnmp's agent for version 3, in a process of its own: another implementation to agree with.

    with PysnmpAgent([("signed", "SHA", "password", "", "")]) as agent:
        ... agent.port ...

It answers for SNMPv2-MIB's system group, with the description that pysnmp gives itself.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context

SYSTEM = (1, 3, 6, 1, 2, 1, 1)

PysnmpUser = tuple[str, str, str, str, str]
"""Name, auth protocol, password, priv protocol, priv password; protocols in the words of [auth.NAME], or empty."""

_AUTH: dict[str, Any] = {
    "": config.USM_AUTH_NONE,
    "MD5": config.USM_AUTH_HMAC96_MD5,
    "SHA": config.USM_AUTH_HMAC96_SHA,
    "SHA224": config.USM_AUTH_HMAC128_SHA224,
    "SHA256": config.USM_AUTH_HMAC192_SHA256,
    "SHA384": config.USM_AUTH_HMAC256_SHA384,
    "SHA512": config.USM_AUTH_HMAC384_SHA512,
}
# Without a suffix pysnmp's names mean Reeder's way with keys, which is Cisco's.
_PRIV: dict[str, Any] = {
    "": config.USM_PRIV_NONE,
    "DES": config.USM_PRIV_CBC56_DES,
    "3DES": config.USM_PRIV_CBC168_3DES,
    "AES": config.USM_PRIV_CFB128_AES,
    "AES192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "AES192C": config.USM_PRIV_CFB192_AES,
    "AES256C": config.USM_PRIV_CFB256_AES,
}


class PysnmpAgent:
    """The agent's process; it ends with its input."""

    def __init__(self, users: Sequence[PysnmpUser]) -> None:
        self._users = users
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(self._users)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("pysnmp's agent did not start")
        self.port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


def _serve(users: Sequence[PysnmpUser]) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    agent = engine.SnmpEngine()
    transport = udp.UdpAsyncioTransport(loop=loop).open_server_mode(("127.0.0.1", 0))
    config.add_transport(agent, udp.DOMAIN_NAME, transport)
    for name, auth, password, priv, priv_password in users:
        config.add_v3_user(agent, name, _AUTH[auth], password or None, _PRIV[priv], priv_password or None)
        level = "authPriv" if priv else "authNoPriv" if auth else "noAuthNoPriv"
        config.add_vacm_user(agent, 3, name, level, SYSTEM)
    served = context.SnmpContext(agent)
    for responder in (cmdrsp.GetCommandResponder, cmdrsp.NextCommandResponder, cmdrsp.BulkCommandResponder):
        responder(agent, served)
    loop.add_reader(sys.stdin, loop.stop)
    loop.call_soon(_announce, loop, transport)
    loop.run_forever()
    agent.close_dispatcher()


def _announce(loop: asyncio.AbstractEventLoop, transport: Any) -> None:
    """The port, once the socket is bound."""
    inner = transport.transport
    if inner is None:
        loop.call_soon(_announce, loop, transport)
    else:
        print(inner.get_extra_info("sockname")[1], flush=True)


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
