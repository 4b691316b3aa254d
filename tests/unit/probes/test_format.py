"""Probe module files: blackbox_exporter's format whole, with every problem at its place."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from sentinel.collect.modules import load_modules
from sentinel.collect.probes.format import DnsSettings, HttpSettings, TcpSettings
from sentinel.model.problem import UnusableError
from tests.servers.debian import PREFIX, ROOT


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "blackbox.yml"
    file.write_text(textwrap.dedent(text))
    return file


def problems(tmp_path: Path, text: str) -> list[str]:
    file = written(tmp_path, text)
    with pytest.raises(UnusableError) as caught:
        load_modules([file])
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


def test_the_exporters_own_file_loads_as_it_is() -> None:
    modules = load_modules([PREFIX / "etc/prometheus/blackbox.yml"])
    assert {"http_2xx", "pop3s_banner", "grpc", "irc_banner", "icmp_ttl5"} <= set(modules.probes)
    assert set(modules.kinds.values()) == {"probe", "local"}


def test_shipped_modules_are_described() -> None:
    modules = load_modules(sorted(ROOT.glob("collectors/probes/*.yml"))).probes
    assert all(one.description.endswith(".") for one in modules.values())
    assert all(one.timeout > 0 for one in modules.values())


def test_every_key_is_read(tmp_path: Path) -> None:
    for name in ("ca.pem", "c.pem", "k.pem", "body", "word"):
        (tmp_path / name).write_text("")
    file = written(
        tmp_path,
        """
        modules:
          web:
            prober: http
            timeout: 1.5s
            http:
              valid_status_codes: [200, 401]
              valid_http_versions: ["HTTP/1.1", "HTTP/2.0"]
              method: PUT
              headers: {Host: vhost.example.org, Accept-Encoding: "gzip;q=0.5, br"}
              body_file: body
              body_size_limit: 10MB
              compression: gzip
              follow_redirects: true
              no_follow_redirects: true
              fail_if_ssl: false
              fail_if_not_ssl: true
              fail_if_body_matches_regexp: ["(?i)error"]
              fail_if_body_not_matches_regexp: ["ok"]
              fail_if_header_matches: [{header: Set-Cookie, regexp: ".*", allow_missing: true}]
              fail_if_header_not_matches: [{header: Server, regexp: nginx}]
              tls_config:
                insecure_skip_verify: true
                ca_file: ca.pem
                cert_file: c.pem
                key_file: k.pem
                server_name: other.example.org
                min_version: TLS10
                max_version: TLS13
              authorization: {type: Token, credentials_file: word}
              enable_http2: false
              proxy_from_environment: false
              proxy_url: ""
              skip_resolve_phase_with_proxy: false
              preferred_ip_protocol: ip4
              ip_protocol_fallback: false
          old:
            prober: http
            http: {bearer_token_file: word, no_follow_redirects: false, valid_status_codes: []}
          talk:
            prober: tcp
            tcp:
              preferred_ip_protocol: ip6
              source_ip_address: 192.0.2.9
              tls: true
              query_response:
                - expect: "^SSH-2.0-([^ -]+)"
                  labels: [{name: version, value: "${1}"}]
                  send: "QUIT ${1}"
                - starttls: true
          ping: {prober: icmp, icmp: {payload_size: 100, dont_fragment: true, ttl: 5, source_ip_address: "::1"}}
          names:
            prober: dns
            dns:
              query_name: example.org
              query_type: CAA
              query_class: CH
              transport_protocol: tcp
              dns_over_tls: true
              tls_config: {insecure_skip_verify: true}
              recursion_desired: false
              valid_rcodes: [NOERROR, NXDOMAIN]
              validate_answer_rrs: {fail_if_matches_regexp: [a], fail_if_none_matches_regexp: [b]}
              validate_authority_rrs: {fail_if_all_match_regexp: [c]}
              validate_additional_rrs: {fail_if_not_matches_regexp: [d]}
          health: {prober: grpc, grpc: {service: shop, tls: true, tls_config: {}, preferred_ip_protocol: ip4}}
          clock: {prober: ntp, ntp: {max_stratum: 3, max_offset: 250ms}}
        """,
    )
    modules = load_modules([file]).probes
    web = modules["web"].settings
    assert isinstance(web, HttpSettings)
    assert (web.body_size_limit, web.follows, modules["web"].timeout) == (10 << 20, False, 1.5)
    old, talk, names = modules["old"].settings, modules["talk"].settings, modules["names"].settings
    assert isinstance(old, HttpSettings)
    assert old.follows
    assert isinstance(talk, TcpSettings)
    assert talk.query_response[0].labels[0].value == "${1}"
    assert isinstance(names, DnsSettings)
    assert names.valid_rcodes == ("NOERROR", "NXDOMAIN")


def test_all_problems_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    text = """\
    modules:
      a:
        prober: htp
      b:
        prober: http
        http:
          metod: GET
          headers: {"X A": b, Content-Length: "5"}
          fail_if_body_matches_regexp: ["("]
          compression: br
          proxy_url: http://proxy.example.org:3128
          fail_if_body_json_matches_cel: body.ok
          oauth2: {client_id: me}
      c:
        prober: dns
      d:
        prober: tcp
        tcp:
          source_ip_address: somewhere
          tls_config: {cert_file: c.pem}
          query_response:
            - expcet: a
      e:
        prober: icmp
        icmp: {ttl: 256}
      f:
        prober: dns
        dns: {query_name: a..b, query_type: NOSUCH, valid_rcodes: [FINE], dns_over_tls: true}
    """
    found = problems(tmp_path, text)
    for place, part in [
        ("3:13", "prober: "),
        ("7:7", "unknown key 'metod' (did you mean 'method'?)"),
        ("8:16", "not a header's name: 'X A'"),
        ("9:38", "not a regular expression"),
        ("10:20", "br is not supported"),
        ("11:18", "proxies are not supported"),
        ("12:38", "CEL is not supported"),
        ("13:15", "OAuth 2.0 is not supported"),
        ("15:5", "needs dns: with query_name"),
        ("19:26", "somewhere"),
        ("20:19", "needs both cert and key"),
        ("22:11", "unknown key 'expcet' (did you mean 'expect'?)"),
        ("25:18", "255"),
        ("28:24", "not a domain name"),
        ("28:42", "unknown type of record 'NOSUCH'"),
        ("28:65", "unknown response code 'FINE'"),
    ]:
        assert any(part in one for one in found), (place, part, found)
    assert all(one[0].isdigit() for one in found)


@pytest.mark.parametrize(
    ("http", "part"),
    [
        ('headers: {A: "b\\r\\nC: d"}', "line break"),
        ("headers: {Connection: keep-alive}", "follows from the request"),
        ("method: 'GET / HTTP/1.1'", "not a method"),
        ("body: a\n          body_file: b", "exclude one another"),
        ("basic_auth: {username: a}\n          bearer_token: b", "at most one of"),
        ("compression: gzip\n          headers: {Accept-Encoding: 'br, identity'}", "does not allow"),
        ("valid_status_codes: [20]", "three digits"),
        ("body_file: nowhere", "there is no file"),
        ("tls_config: {ca_file: nowhere}", "there is no file"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, http: str, part: str) -> None:
    text = f"modules:\n  a:\n    prober: http\n    http:\n          {http}\n"
    file = tmp_path / "blackbox.yml"
    file.write_text(text)
    with pytest.raises(UnusableError, match=part):
        load_modules([file])


def test_secrets_do_not_show(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        modules:
          a: {prober: http, http: {basic_auth: {username: u, password: canary}}}
          b: {prober: http, http: {authorization: {credentials: canary}}}
          c: {prober: http, http: {bearer_token: canary}}
        """,
    )
    assert "canary" not in repr(load_modules([file]))
