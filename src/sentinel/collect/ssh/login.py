"""What proves who Sentinel is, while one connection logs in."""

from __future__ import annotations

from collections.abc import Sequence

import asyncssh

from sentinel.collect.ssh.credentials import Credentials
from sentinel.collect.ssh.hostkeys import HostKeyCheck

MAX_AGENT_KEYS = 5
"""Keys of an agent that are offered; OpenSSH ends the connection after six attempts."""

_Prompts = Sequence[tuple[str, bool]]


class Login(asyncssh.SSHClient):
    """Judges the host's key, then offers what the auth has: keys first, the agent's after them."""

    def __init__(self, check: HostKeyCheck, credentials: Credentials) -> None:
        self._check = check
        self._credentials = credentials
        self._agent: asyncssh.SSHAgentClient | None = None
        self._has_asked_agent = False
        self._answers = 0
        self.agent_problem = ""
        """Why the agent had nothing to offer."""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._check.accepts(key)

    async def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """Asked once the auth's own key is used up."""
        path = self._credentials.agent
        if self._has_asked_agent or not self._credentials.auth.agent:
            return None
        self._has_asked_agent = True
        if not path:
            self.agent_problem = "no ssh-agent: SSH_AUTH_SOCK is not set"
            return None
        try:
            self._agent = await asyncssh.connect_agent(path)
            keys = list(await self._agent.get_keys())[:MAX_AGENT_KEYS]
        except (OSError, ValueError, asyncssh.Error) as error:
            self.agent_problem = f"the ssh-agent at {path} cannot be asked: {error}"
            return None
        self.agent_problem = "" if keys else f"the ssh-agent at {path} holds no keys"
        return keys

    def kbdint_auth_requested(self) -> str | None:
        return "" if self._credentials.auth.keyboard_interactive else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: _Prompts
    ) -> list[str] | None:
        """The password, to the first hidden question alone: a second one asks for something else."""
        if not prompts:
            return []
        password = self._credentials.password
        is_hidden = len(prompts) == 1 and not prompts[0][1]
        if self._answers or not is_hidden or password is None:
            return None
        self._answers += 1
        return [password]

    def auth_completed(self) -> None:
        self.close_agent()

    def connection_lost(self, exc: Exception | None) -> None:
        self.close_agent()

    def close_agent(self) -> None:
        if self._agent is not None:
            self._agent.close()
        self._agent = None
