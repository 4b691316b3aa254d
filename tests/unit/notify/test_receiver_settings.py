"""[[receiver]] of every kind as people write them, and what check finds wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config.settings import Settings, load_document
from sentinel.model.problem import UnusableError
from sentinel.notify.checking import receiver_problems
from tests.servers.certificates import certificate

HEAD = '[[receiver]]\nname = "ops"\n'
WECOM = HEAD + 'kind = "wecom"\nurl = "http://192.0.2.1/?key=canary-key"\n'
SMS = HEAD + 'kind = "sms"\nto = ["+8613800138000"]\n'
GATEWAY = SMS + 'url = "https://sms.example.org/{{ .Number }}"\nbody = "{{ .Text }}"\n'


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "config.toml"
    path.write_text(text)
    try:
        settings, document = load_document(path)
    except UnusableError as error:
        found = error.problems
    else:
        assert isinstance(settings, Settings)
        found = tuple(receiver_problems(settings, document, folder))
    return [str(problem).replace(f"{folder}/", "") for problem in found]


@pytest.mark.parametrize(
    "text",
    [
        WECOM,
        WECOM + 'cap = "none"\n',
        WECOM + 'cap = {messages = 5, per = "10m"}\n',
        GATEWAY,
        HEAD + 'kind = "syslog"\naddress = "log.example.org:6514"\n',
        HEAD + 'kind = "apprise"\nurl = "json://127.0.0.1:1/canary"\n',
        WECOM
        + '[receiver.templates]\ntext = """{{ range .Alerts }}{{ .Labels.instance }} {{ .Value }}\n{{ end }}"""\n',
        WECOM + 'templates = {text = "{{ with .CommonLabels }}{{ .instance }}{{ end }}"}\n',
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + 'kind = "wecon"\n', "config.toml:3:9: unknown kind 'wecon' (did you mean 'wecom'?)"),
        (
            HEAD + 'kind = "carrier pigeon"\n',
            "unknown kind 'carrier pigeon' (known: alertmanager, apprise, command, ",
        ),
        (HEAD, "config.toml:1:3: 'kind' is missing"),
        (
            WECOM + 'cap = {message = 3, per = "1m"}\n',
            "config.toml:5:8: unknown key 'message' (did you mean 'messages'?)",
        ),
        (WECOM + 'cap = {messages = 3, per = "2h"}\n', "per: at most 1h"),
        (WECOM.replace("url", "ulr"), "config.toml:4:1: unknown key 'ulr' (did you mean 'url'?)"),
        (WECOM.replace("http:", "file:"), "config.toml:4:8: url: not an http:// or https:// address"),
        (WECOM + 'mention = ["a>b"]\n', "config.toml:5:13: "),
        (WECOM + 'client_key = "x.pem"\n', "client_key needs client_certificate"),
        (WECOM + 'client_certificate = "/none.pem"\n', "'ops' cannot be used: No such file or directory"),
        (WECOM.replace("192.0.2.1", "169.254.169.254"), "169.254.169.254 lies where receivers may not send"),
        (WECOM + '[notify]\nnetworks = ["10.0.0.0/8"]\n', "192.0.2.1 lies where receivers may not send"),
        (WECOM + 'templates = {texd = "x"}\n', "5:14: wecom has no template 'texd' (did you mean 'text'?)"),
        (WECOM + "templates = {text = 1}\n", 'write the template itself, or {file = "…"}'),
        (WECOM + 'templates = {text = "a {{ .Titel }}"}\n', "config.toml:5:27: there is no field Titel"),
        (WECOM + 'templates = {text = "a {{ .Title "}\n', "config.toml:5:24: "),
        (WECOM + 'templates = {text = "{{ query \\"up\\" }}"}\n', "messages cannot query"),
        (WECOM + 'templates = {text = {file = "no.tmpl"}}\n', "no.tmpl: cannot be read"),
        (HEAD + 'kind = "webhook"\nurl = "http://h/"\nsecret = "short"\n', "at least 16 characters"),
        (HEAD + 'kind = "webhook"\nurl = "http://h/"\ntemplates = {text = ""}\n', "(known: none)"),
        (
            HEAD + 'kind = "webhook"\nurl = "http://h/"\nheaders = {"X-Sentinel-Signature" = "x"}\n',
            "is set by Sentinel",
        ),
        (HEAD + 'kind = "telegram"\ntoken = "a b"\nchat_id = "1"\n', "plain text in one word"),
        (HEAD + 'kind = "telegram"\ntoken = "a"\nchat_id = "1/../x"\n', "chat_id"),
        (SMS.replace("+86", "86;") + 'url = "http://h/{{ .Number }}{{ .Text }}"\nmethod = "GET"\n', "4:8: "),
        (SMS, "give url (a gateway) or command (a local modem)"),
        (SMS + 'url = "http://{{ .Number }}/{{ .Text }}"\nmethod = "GET"\n', "the host is fixed"),
        (
            SMS + 'url = "http://h/{{ .Number }}"\nmethod = "GET"\n',
            "neither url nor body carries {{ .Text }}",
        ),
        (GATEWAY.replace("{{ .Text }}", "{{ .Text }}{{ .Nummer }}"), "there is no field Nummer"),
        (GATEWAY + 'success = "("\n', "success"),
        (SMS + 'command = ["gammu", "{number}"]\n', "not a program's whole path"),
        (HEAD + 'kind = "syslog"\naddress = "log.example.org"\n', "a port is missing"),
        (HEAD + 'kind = "syslog"\naddress = "h:1"\napp_name = "a b"\n', "app_name"),
        (HEAD + 'kind = "apprise"\nurl = "nosuch://x"\n', "Apprise does not take this URL of nosuch://"),
        (
            HEAD + 'kind = "apprise"\nurl = "json://h"\n[notify]\nnetworks = ["10.0.0.0/8"]\n',
            "cannot keep to [notify] networks",
        ),
        (HEAD + 'kind = "command"\ncommand = ["/bin/true"]\n', "[notify] commands = true allows programs"),
        (
            HEAD + 'kind = "command"\ncommand = ["/bin/true"]\n[notify]\ncommands = true\n',
            "it does not stand in [notify] programs",
        ),
        (HEAD + 'kind = "command"\ncommand = ["/bin/../bin/true"]\n', "not a program's whole path"),
    ],
)
def test_what_is_wrong_is_told_at_its_place_without_secrets(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text)
    assert any(problem in one for one in found), found
    assert "canary" not in "\n".join(found)


def test_a_template_files_mistake_is_told_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "my.tmpl").write_text("first\n  {{ if .Title }}\n{{ .Nothing }}{{ end }}\n")
    found = problems(tmp_path, WECOM + 'templates = {text = {file = "my.tmpl"}}\n')
    assert found == ["my.tmpl:3:4: there is no field Nothing"]
    (tmp_path / "my.tmpl").write_text("first\n  {{ frobnicate }}\n")
    (told,) = problems(tmp_path, WECOM + 'templates = {text = {file = "my.tmpl"}}\n')
    assert told.startswith("my.tmpl:2:6: ")


def test_a_client_certificate_is_read_when_it_is_checked(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    one = f'client_certificate = "{files.certificate}"\n'
    assert problems(tmp_path, WECOM + one + f'client_key = "{files.key}"\n') == []
    assert "cannot be used" in problems(tmp_path, WECOM + one)[0]
