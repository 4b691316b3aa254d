"""What all receivers over HTTP share: signature, certificates, proxy, redirects, guard, bounds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from sentinel.config.receivers import NotifySettings
from sentinel.notify.receiver import Result
from tests.integration.services import built, message, settings
from tests.servers.certificates import certificate
from tests.servers.debian import free_port
from tests.servers.sinks import Answer, WebhookSink


def _is_ours(secret: bytes, header: str, body: bytes, *, within: float = 300) -> bool:
    """As docs/reference/receivers.md shows it."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    signed = fields["t"].encode() + b"." + body
    expected = hmac.new(secret, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, fields["v1"]) and abs(time.time() - int(fields["t"])) <= within


async def test_a_signed_webhook_is_verified_as_documented() -> None:
    sink, secret = WebhookSink(), "a secret of some length"
    async with sink.serve(), built(settings("webhook", url=sink.url, secret=secret)) as receiver:
        assert (await receiver.send(message())).result is Result.DELIVERED
    (post,) = sink.posts
    header = post.headers["x-sentinel-signature"]
    assert _is_ours(secret.encode(), header, post.body)
    assert not _is_ours(b"another secret of that length", header, post.body)
    assert not _is_ours(secret.encode(), header, post.body + b" ")
    later = header.replace("t=", "t=1")
    assert not _is_ours(secret.encode(), later, post.body)


def test_the_documented_verification_is_the_one_that_is_tested() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/receivers.md").read_text()
    example = page[page.index("def is_ours") :].partition("```")[0]
    names: dict[str, object] = {"hashlib": hashlib, "hmac": hmac, "time": time}
    exec(example, names)
    is_ours = names["is_ours"]
    assert callable(is_ours)
    digest = hmac.new(b"s", b"1700000000.body", hashlib.sha256).hexdigest()
    assert is_ours(b"s", f"t=1700000000,v1={digest}", b"body", within=1e12)
    assert not is_ours(b"s", f"t=1700000000,v1={digest}", b"body")


async def test_a_far_side_that_asks_for_a_certificate_gets_ours(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    context = files.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.certificate)
    sink = WebhookSink()
    async with sink.serve(tls=context):
        url = f"https://127.0.0.1:{sink.port}/hook"
        trusted = {"ca_file": str(files.certificate)}
        shown = {"client_certificate": str(files.certificate), "client_key": str(files.key)}
        async with built(settings("webhook", url=url, **trusted)) as receiver:
            assert (await receiver.send(message())).result is Result.RETRY
        async with built(settings("webhook", url=url, **trusted, **shown)) as receiver:
            assert (await receiver.send(message())).result is Result.DELIVERED
        async with built(settings("webhook", url=url, **shown)) as receiver:
            outcome = await receiver.send(message())
            assert outcome.result is Result.RETRY
            assert "certificate" in outcome.detail.lower()
    assert len(sink.posts) == 1


async def test_a_message_goes_through_the_proxy_with_its_password() -> None:
    proxy = WebhookSink()
    async with proxy.serve():
        address = f"http://sentinel:canary-word@127.0.0.1:{proxy.port}"
        one = settings("webhook", url="http://hooks.example.invalid/x?y=1", proxy=address)
        async with built(one) as receiver:
            assert (await receiver.send(message())).result is Result.DELIVERED
        proxy.choose = lambda post: Answer(407, body=str(dict(post.headers)).encode())
        async with built(one) as receiver:
            outcome = await receiver.send(message())
    assert proxy.posts[0].path == "http://hooks.example.invalid/x?y=1"
    login = base64.b64encode(b"sentinel:canary-word").decode()
    assert proxy.posts[0].headers["proxy-authorization"] == f"Basic {login}"
    assert outcome.result is not Result.DELIVERED
    assert "canary" not in outcome.detail
    assert login not in outcome.detail


async def test_a_proxy_that_is_away_is_tried_again() -> None:
    one = settings("webhook", url="http://hooks.example.invalid/", proxy=f"http://127.0.0.1:{free_port()}")
    async with built(one) as receiver:
        outcome = await receiver.send(message())
    assert (outcome.result, outcome.is_unwell) == (Result.RETRY, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["webhook", "slack"])
async def test_a_redirect_takes_no_secret_to_another_host(status: int, kind: str) -> None:
    sink, elsewhere = WebhookSink(), WebhookSink()
    async with sink.serve(), elsewhere.serve():
        sink.choose = lambda post: Answer(status, {"Location": elsewhere.url})
        headers = {"headers": {"Authorization": "Bearer canary"}} if kind == "webhook" else {}
        async with built(settings(kind, url=sink.url, **headers)) as receiver:
            outcome = await receiver.send(message())
    assert outcome.result is Result.RETRY
    assert elsewhere.posts == []


async def test_receivers_keep_to_the_networks_that_are_listed() -> None:
    sink = WebhookSink()
    async with sink.serve():
        one = settings("webhook", url=f"http://localhost:{sink.port}/")
        async with built(one, notify=NotifySettings(networks=(ip_network("10.0.0.0/8"),))) as receiver:
            outcome = await receiver.send(message())
            assert outcome.result is Result.RETRY
            assert "may not send" in outcome.detail
        async with built(one, notify=NotifySettings(networks=(ip_network("127.0.0.0/8"),))) as receiver:
            assert (await receiver.send(message())).result is Result.DELIVERED
    assert len(sink.posts) == 1


@pytest.mark.parametrize("kind", ["webhook", "wecom", "telegram"])
async def test_an_endless_answer_is_not_read_to_its_end(kind: str) -> None:
    sink = WebhookSink()
    sink.choose = lambda post: Answer(400, body=b"x" * 50_000_000)
    async with sink.serve():
        written = {"url": sink.url} if kind != "telegram" else {"token": "t", "chat_id": "1"}
        more = {"api_url": f"http://127.0.0.1:{sink.port}"} if kind == "telegram" else {}
        async with built(settings(kind, **written, **more)) as receiver:
            outcome = await receiver.send(message())
    assert outcome.result is Result.REFUSED
    assert len(outcome.detail) <= 200


async def test_a_packed_answer_is_not_unpacked() -> None:
    """Ten megabytes of nothing in ten kilobytes, to somebody who did not ask for packed answers."""
    import gzip

    sink = WebhookSink()
    sink.choose = lambda post: Answer(400, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 10_000_000))
    async with sink.serve(), built(settings("webhook", url=sink.url)) as receiver:
        outcome = await receiver.send(message())
    assert outcome.result is Result.REFUSED
    assert sink.posts[0].headers["accept-encoding"] == "identity"
