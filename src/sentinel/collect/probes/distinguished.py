"""Distinguished names of certificates as blackbox_exporter writes them.

Source of the form: RFC 2253, and Go's crypto/x509/pkix (Name.String), which gathers the attributes it knows by kind
and writes others as hexadecimal DER.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

_KNOWN = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.POSTAL_CODE: "POSTALCODE",
    NameOID.COMMON_NAME: "CN",
    NameOID.SERIAL_NUMBER: "SERIALNUMBER",
}
"""In the order of a name from its root."""
_LAST_ONE = (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)
_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?*&")


def written(name: x509.Name) -> str:
    """A name from its own part to its root: CN=…,OU=…,O=…,C=…"""
    strange = [f"{one.oid.dotted_string}=#{_der(_text(one)).hex()}" for one in name if one.oid not in _KNOWN]
    known = []
    for oid, short in _KNOWN.items():
        values = [_text(one) for one in name.get_attributes_for_oid(oid)]
        if oid in _LAST_ONE:
            values = values[-1:]
        if any(values):
            known.append("+".join(f"{short}={_escaped(value)}" for value in values))
    return ",".join(reversed(strange + known))


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _escaped(value: str) -> str:
    last = len(value) - 1
    return "".join(
        f"\\{char}"
        if char in ',+"\\<>;' or (char in " #" and place == 0) or (char == " " and place == last)
        else char
        for place, char in enumerate(value)
    )


def _der(text: str) -> bytes:
    """PrintableString where that is enough, else UTF8String."""
    content = text.encode()
    tag = 0x13 if set(text) <= _PRINTABLE else 0x0C
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content
