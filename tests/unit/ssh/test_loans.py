"""Files that one section prints for another."""

from dataclasses import replace

from sentinel.collect.ssh.loans import lent
from sentinel.collect.ssh.modules import Loan, Section
from sentinel.collect.ssh.parsers import parsers
from sentinel.collect.ssh.script import Reply
from sentinel.collect.ssh.session import Failure, Result

PROC = Section("proc", "head", parsers()["proc"], 5.0, 0.0)
MOUNTS = Section("mounts", "df", parsers()["filesystem"], 5.0, 0.0, Loan("proc", "/proc/self/mounts"))
PRINTED = b"==> /a <==\n1\n\n==> /proc/self/mounts <==\n/dev/a / ext4 rw 0 0\n==> time <==\n7\n"


def moved(proc: bytes | str | None, mounts: bytes | str | None) -> list[bytes | str]:
    """Texts, or the reasons for which there are none."""
    results: dict[str, Result] = {}
    for name, each in (("proc", proc), ("mounts", mounts)):
        if each is not None:
            results[name] = Reply(each, 0, 0.1) if isinstance(each, bytes) else Failure(each)
    found = lent([PROC, MOUNTS], results)
    return [each.output if isinstance(each, Reply) else each.reason for each in found.values()]


def test_the_file_is_moved() -> None:
    assert moved(PRINTED, b"df") == [
        b"==> /a <==\n1\n\n==> time <==\n7\n",
        b"/dev/a / ext4 rw 0 0\ndf",
    ]


def test_a_file_between_others_loses_the_empty_line_that_head_puts_behind_it() -> None:
    between = b"==> /proc/self/mounts <==\nx\n\n==> /b <==\n2\n"
    assert moved(between, b"df") == [b"==> /b <==\n2\n", b"x\ndf"]


def test_the_last_file_ends_with_the_text() -> None:
    assert moved(b"==> /a <==\n\n==> /proc/self/mounts <==\nx\n", b"df") == [b"==> /a <==\n\n", b"x\ndf"]


def test_without_the_file_the_section_fails() -> None:
    assert moved(b"==> /a <==\n1\n", b"df") == [b"==> /a <==\n1\n", "missing"]
    assert moved(None, b"df") == ["missing"]


def test_it_fails_as_the_one_that_should_have_printed_it() -> None:
    assert moved("stuck", b"df") == ["stuck", "stuck"]


def test_the_lender_reads_the_same_whether_or_not_the_other_ran() -> None:
    rest = b"==> /a <==\n1\n\n==> time <==\n7\n"
    assert moved(PRINTED, "stuck") == [rest, "stuck"]
    assert moved(PRINTED, None) == [rest]


def test_status_and_duration_stay() -> None:
    results = lent([PROC, MOUNTS], {"proc": Reply(PRINTED, 1, 0.2), "mounts": Reply(b"df", 2, 0.3)})
    assert {name: replace(each, output=b"") for name, each in results.items() if isinstance(each, Reply)} == {
        "proc": Reply(b"", 1, 0.2),
        "mounts": Reply(b"", 2, 0.3),
    }
