"""Shipped probe modules beside real servers: OpenSSH, and mail with STARTTLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from sentinel.collect.modules import load_modules
from sentinel.collect.probes.format import TcpSettings, TlsSettings
from sentinel.collect.probes.modules import ProbeModule
from tests.servers.authority import Authority
from tests.servers.debian import ROOT, free_port
from tests.servers.sshd import Sshd
from tests.unit.probes.asking import ask

SHIPPED = load_modules(sorted(ROOT.glob("collectors/probes/*.yml"))).probes


def trusting(module: ProbeModule, authority: Authority) -> ProbeModule:
    """The module as an operator with an authority of their own has it."""
    assert isinstance(module.settings, TcpSettings)
    settings = module.settings.model_copy(update={"tls_config": TlsSettings(ca_file=str(authority.root))})
    return replace(module, settings=settings)


@contextmanager
def mail(authority: Authority, *names: str) -> Iterator[str]:
    port = free_port()
    controller = Controller(Sink(), hostname="127.0.0.1", port=port, tls_context=authority.server(*names))
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


async def test_an_ssh_server_greets_with_its_version(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as server:
        answer = await ask(SHIPPED["ssh_banner"], f"{server.host}:{server.port}")
    assert (answer.reason, answer["probe_success"]) == ("", 1)
    (labels,) = [one for one in answer.reading.layout.series if one.name == "probe_expect_info"]
    assert labels["ssh_version"].startswith("OpenSSH")


async def test_a_mail_server_without_and_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with mail(authority, "127.0.0.1") as address:
        assert (await ask(SHIPPED["smtp"], address)).reason == ""
        answer = await ask(trusting(SHIPPED["smtp_starttls"], authority), address)
        assert answer.reason == ""
        assert answer["probe_tls_version_info"] == 1
        assert (await ask(SHIPPED["smtp_starttls"], address)).reason.startswith("certificate")


@pytest.mark.parametrize("module", ["smtp", "ftp_banner", "imap_starttls", "pop3_starttls"])
async def test_another_service_is_not_taken_for_it(tmp_path: Path, module: str) -> None:
    with Sshd(tmp_path / "sshd") as server:
        answer = await ask(SHIPPED[module], f"{server.host}:{server.port}", timeout=0.5)
    assert answer["probe_success"] == 0
    assert answer.reason in ("regex", "timeout", "closed")
