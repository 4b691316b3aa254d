"""Results of unit tests in the form that build servers read (JUnit XML)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from sentinel.rules.unittest import Result

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Result]) -> bytes:
    """One test suite a file; a file that cannot be used is a test that failed."""
    root = ElementTree.Element("testsuites")
    for file, group in groupby(results, lambda result: result.file):
        cases = list(group)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_clean(file),
            tests=str(len(cases)),
            failures=str(sum(not case.passed for case in cases)),
            errors="0",
            time=f"{sum(case.seconds for case in cases):.3f}",
        )
        for case in cases:
            name = _clean(case.name or "file")
            shown = ElementTree.SubElement(
                suite, "testcase", classname=_clean(file), name=name, time=f"{case.seconds:.3f}"
            )
            for difference in case.differences:
                text = _clean(difference)
                failure = ElementTree.SubElement(shown, "failure", message=text.partition("\n")[0])
                failure.text = text
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
