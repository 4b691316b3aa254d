from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.web.runbooks import Runbooks, parse_blocks, render_spans

TEXT = """# HostDown

No module can read the host
since three polls.

1. Ping it:
   twice
2. Look at the console

- one
- two

```sh
ping **host** <b>
```
Done.
"""


def test_blocks() -> None:
    found = [(block.kind, block.text or block.points) for block in parse_blocks(TEXT)]
    assert found == [
        ("heading", "HostDown"),
        ("paragraph", "No module can read the host since three polls."),
        ("steps", ["Ping it: twice", "Look at the console"]),
        ("list", ["one", "two"]),
        ("code", "ping **host** <b>\n"),
        ("paragraph", "Done."),
    ]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `b<c>` **d**", "a <code>b&lt;c&gt;</code> <strong>d</strong>"),
        ("<script>", "&lt;script&gt;"),
        ("[x](https://a.example/)", '<a href="https://a.example/" rel="noopener noreferrer">x</a>'),
        ("[x](javascript:y)", "[x](javascript:y)"),
    ],
)
def test_spans(text: str, html: str) -> None:
    assert str(render_spans(text)) == html


def test_a_name_is_never_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "HostDown.md").write_text("# yes")
    (tmp_path / "secret.md").write_text("no")
    runbooks = Runbooks(folder)
    assert runbooks.read("HostDown") == runbooks.read("HostDown.md") == "# yes"
    for name in ("../secret", "..", "", "/etc/passwd", "a\0b", "HostDown.md/", "nothing"):
        assert runbooks.read(name) is None
