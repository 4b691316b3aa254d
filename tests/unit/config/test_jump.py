"""What `jump` may say."""

from __future__ import annotations

import pytest

from sentinel.config.auth import SshAuth
from sentinel.config.document import validated
from sentinel.config.toml import parse_toml
from sentinel.model.problem import UnusableError
from sentinel.model.target import Hop


def hops(written: str) -> list[Hop]:
    text = f'kind = "ssh"\nusername = "x"\npassword = "y"\njump = {written}\n'
    auth = validated(SshAuth, parse_toml(text, "c"))
    hash(auth)  # sessions are kept by it
    return [one.hop for one in auth.jump]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("[]", []),
        ('"a"', [Hop("a")]),
        ('"a:2222, [::1]:22"', [Hop("a", 2222), Hop("::1", 22)]),
        ('["a", "b"]', [Hop("a"), Hop("b")]),
        ('[{address = "a", auth = "way", host_key = "k"}, "b"]', [Hop("a", None, "way", "k"), Hop("b")]),
    ],
)
def test_addresses_tables_and_lists_of_both_are_understood(written: str, found: list[Hop]) -> None:
    assert hops(written) == found


@pytest.mark.parametrize(
    "written", ['"root@a"', '"-oProxyCommand=x"', '"a;b"', '[""]', "[1]", '[{auth = "x"}]', "7"]
)
def test_what_is_no_address_is_a_problem_at_its_place(written: str) -> None:
    with pytest.raises(UnusableError) as error:
        hops(written)
    assert all(problem.line == 4 for problem in error.value.problems)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("", "needs key, agent or password"),
        ('agent = true\ncertificate = "c"', "certificate needs key"),
        ("agent = true\nkeyboard_interactive = true", "keyboard_interactive needs password"),
    ],
)
def test_an_auth_that_does_not_hold_together_says_what_is_missing(keys: str, text: str) -> None:
    with pytest.raises(UnusableError) as error:
        validated(SshAuth, parse_toml(f'kind = "ssh"\nusername = "x"\n{keys}\n', "c"))
    assert text in str(error.value)
