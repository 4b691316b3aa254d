"""What a probe finds out, as the series of blackbox_exporter."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from sentinel.model.batch import Family, Layout, Reading
from sentinel.model.labels import METRIC_NAME, Labels

Key = tuple[str, tuple[tuple[str, str], ...]]

MOST_LAYOUTS = 2000
"""Shapes of readings remembered: one for each way a module can end, more where labels are a target's own."""

LONGEST_LABEL = 4096
"""Characters of a text that a target sends and a label shows."""

FAMILIES = {
    name: Family("gauge", text)
    for name, text in {
        "probe_success": "Whether the probe found what it should.",
        "sentinel_probe_failed": "1 while the probe fails, with the reason; otherwise not there.",
        "probe_duration_seconds": "How long the probe took.",
        "probe_dns_lookup_time_seconds": "How long looking up the target's address took.",
        "probe_ip_protocol": "4 or 6: the IP version used; 0 without an address.",
        "probe_ip_addr_hash": "Hash of the target's address: changes when the address does.",
        "probe_failed_due_to_regex": "Whether a regular expression made the probe fail.",
        "probe_expect_info": "Labels taken from a line the target sent.",
        "probe_http_duration_seconds": "Time by phase, summed over redirects.",
        "probe_http_status_code": "Status of the last answer; 0 without one.",
        "probe_http_content_length": "Content-Length of the last answer; -1 where it has none.",
        "probe_http_uncompressed_body_length": "Bytes of the body after decompression.",
        "probe_http_redirects": "Redirects followed.",
        "probe_http_ssl": "Whether the last request went over TLS.",
        "probe_http_version": "HTTP version of the last answer.",
        "probe_http_last_modified_timestamp_seconds": "Last-Modified of the answer.",
        "probe_ssl_earliest_cert_expiry": "When the first certificate of the chain sent ends.",
        "probe_ssl_last_chain_expiry_timestamp_seconds": "When the chain that was verified ends.",
        "probe_ssl_last_chain_info": "The server's own certificate.",
        "probe_tls_version_info": "TLS version agreed on.",
        "probe_tls_cipher_info": "TLS cipher suite agreed on.",
        "probe_icmp_duration_seconds": "Time by phase.",
        "probe_icmp_reply_hop_limit": "Hop limit (TTL) of the reply.",
        "probe_dns_duration_seconds": "Time by phase.",
        "probe_dns_answer_rrs": "Records in the answer section.",
        "probe_dns_authority_rrs": "Records in the authority section.",
        "probe_dns_additional_rrs": "Records in the additional section.",
        "probe_dns_query_succeeded": "Whether the server answered at all.",
        "probe_dns_serial": "Serial number of the zone.",
        "probe_grpc_duration_seconds": "Time by phase.",
        "probe_grpc_ssl": "Whether TLS was used.",
        "probe_grpc_status_code": "gRPC status of the answer.",
        "probe_grpc_healthcheck_response": "Health the server tells.",
        "probe_ntp_duration_seconds": "Time by phase.",
        "probe_ntp_offset_seconds": "The server's clock less ours.",
        "probe_ntp_round_trip_seconds": "Time on the way there and back, without the server's own.",
        "probe_ntp_stratum": "Steps from a reference clock.",
        "probe_ntp_leap": "Leap indicator: 0 none, 1 and 2 a leap second today, 3 not synchronized.",
        "probe_ntp_root_delay_seconds": "Round trip from the server to its reference clock.",
        "probe_ntp_root_dispersion_seconds": "Error the server allows for, to its reference clock.",
        "probe_ntp_reference_timestamp_seconds": "When the server's clock was last set.",
    }.items()
}


class Layouts:
    """Remembers the layout of each shape of reading, for all probes together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Key, ...], Layout] = OrderedDict()

    def of(self, keys: tuple[Key, ...]) -> Layout:
        layout = self._kept.get(keys)
        if layout is None:
            names = {name for name, _ in keys}
            series = (Labels({METRIC_NAME: name, **dict(labels)}) for name, labels in keys)
            layout = Layout.of(series, {name: FAMILIES[name] for name in names})
            self._kept[keys] = layout
            if len(self._kept) > MOST_LAYOUTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(keys)
        return layout


class Findings:
    """Values found so far: what is here when a probe fails half-way is still told."""

    def __init__(self) -> None:
        self._values: dict[Key, float] = {}

    def set(self, name: str, value: float, /, **labels: str) -> None:
        self._values[_key(name, labels)] = value

    def add(self, name: str, value: float, /, **labels: str) -> None:
        key = _key(name, labels)
        self._values[key] = self._values.get(key, 0.0) + value

    def get(self, name: str, /, **labels: str) -> float | None:
        return self._values.get(_key(name, labels))

    def reading(self, layouts: Layouts, reason: str = "", detail: str = "") -> Reading:
        if reason:
            self.set("sentinel_probe_failed", 1, reason=reason)
        keys = tuple(sorted(self._values))
        values = np.array([self._values[key] for key in keys], np.float64)
        return Reading(layouts.of(keys), values, reasons=(reason,) if reason else (), detail=detail)


def _key(name: str, labels: dict[str, str]) -> Key:
    return name, tuple(sorted((label, text[:LONGEST_LABEL]) for label, text in labels.items()))
