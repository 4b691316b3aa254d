"""[route] and [[receiver]] as people write them."""

from __future__ import annotations

import pytest

from sentinel.config.document import Document, Written, validated
from sentinel.config.notify import ReceiverSettings, RouteSettings, routing_problems
from sentinel.config.store import StoreSettings
from sentinel.config.toml import parse_toml
from sentinel.model.problem import UnusableError

HOOK = '[[receiver]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\n'
MAIL = '[[receiver]]\nname = "m"\nkind = "email"\nto = ["a@x.org"]\nfrom = "s@x.org"\nsmarthost = "mail:25"\n'


class File(Written):
    route: RouteSettings | None = None
    receiver: tuple[ReceiverSettings, ...] = ()
    store: StoreSettings = StoreSettings()


def read(text: str) -> tuple[File, Document]:
    document = parse_toml(text, "config.toml")
    return validated(File, document), document


def problems(text: str) -> list[str]:
    try:
        file, document = read(text)
    except UnusableError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in routing_problems(document, file.route, file.receiver)]


def test_a_tree_and_its_receivers_are_read() -> None:
    text = '[route]\nreceiver = "ops"\n[[route.routes]]\nmatchers = [\'a="b"\']\nreceiver = "m"\ncontinue = true\n'
    assert problems(text + HOOK + 'fallback = "m"\n' + MAIL) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[route]\nreceiver = "opps"\n' + HOOK,
            "config.toml:2:13: unknown receiver 'opps' (did you mean 'ops'?)",
        ),
        ("[route]\nmatchers = []\n" + HOOK, "config.toml:1:2: the top route needs a receiver"),
        (HOOK + HOOK, "config.toml:6:9: receiver 'ops' is defined twice"),
        (
            '[route]\nreceiver = "ops"\n[[route.routes]]\nreceiver = "no"\n' + HOOK,
            "config.toml:4:13: unknown receiver 'no'",
        ),
        (
            HOOK + 'fallback = "mm"\n' + MAIL,
            "config.toml:5:13: unknown receiver 'mm' (did you mean 'm'?)",
        ),
        (HOOK + 'fallback = "ops"\n', "config.toml:5:13: 'ops' cannot be its own fallback"),
        (
            HOOK + 'fallback = "m"\n' + MAIL + 'fallback = "ops"\n',
            "config.toml:12:13: fallbacks lead round in a circle: m → ops → m",
        ),
        (
            HOOK + 'send_resolved = false\nfallback = "m"\n' + MAIL,
            "config.toml:6:13: 'ops' is told no recoveries, so 'm' would never hear the end of what it is told "
            "in its place: set send_resolved of both alike",
        ),
        (HOOK + 'fallback_after = "1m"\n', "fallback_after needs fallback"),
    ],
)
def test_routes_and_receivers_must_fit(text: str, problem: str) -> None:
    assert any(each.endswith(problem) for each in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[route]\nreceiver = "ops"\nmatch = {a = "b"}\n', "old form"),
        ('[route]\nreceiver = "ops"\nmatchers = ["a"]\n', "config.toml:3:14: "),
        ('[route]\nreceiverr = "ops"\n', "did you mean 'receiver'"),
        (HOOK.replace("http:", "file:"), "not an http:// or https:// address"),
        (HOOK + 'timeout = "1m"\n', "at most 10s"),
        (HOOK + 'headers = {"A" = "x\\r\\ny"}\n', "one line"),
        (HOOK + 'headers = {"Idempotency-Key" = "x"}\n', "is set by Sentinel"),
        (MAIL.replace("a@x.org", "a@x.org\\r\\nBcc: b@y.org"), "not a mail address"),
        (MAIL.replace("mail:25", "mail"), "not a mail server"),
        (MAIL + 'tls = "none"\nusername = "u"\npassword = "p"\n', "not sent in the clear"),
        (MAIL + 'username = "u"\n', "belong together"),
        ('[store]\nurl = "postgresql://h/db"\n', "PostgreSQL is not supported yet"),
        ('[store]\nurl = "sentinel.db"\n', "sqlite:///PATH"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_place(text: str, part: str) -> None:
    found = problems(text)
    assert any(part in problem for problem in found), found


def test_secrets_of_receivers_are_not_printed() -> None:
    file, _ = read(HOOK.replace("127.0.0.1:9/", "127.0.0.1:9/?token=canary") + 'headers = {A = "canary"}\n')
    assert "canary" not in repr(file)
    assert "canary" not in file.model_dump_json()
