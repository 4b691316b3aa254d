"""Names that DNS gives to types, classes and answers, checked where they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import dns.exception
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from pydantic import AfterValidator


def _known(what: str, read: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            read(text)
        except (dns.exception.DNSException, ValueError):
            raise ValueError(f"unknown {what} '{text}'") from None
        return text

    return AfterValidator(check)


def _name(text: str) -> str:
    try:
        if not text:
            raise ValueError("is empty")
        dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"not a domain name: {text!r} ({error})") from None
    return text


DnsName = Annotated[str, AfterValidator(_name)]
DnsType = Annotated[str, _known("type of record", dns.rdatatype.from_text)]
DnsClass = Annotated[str, _known("class of records", dns.rdataclass.from_text)]
DnsRcode = Annotated[str, _known("response code", dns.rcode.from_text)]
