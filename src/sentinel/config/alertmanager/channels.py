"""Receivers of an Alertmanager as tables of Sentinel's kinds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sentinel.config.alertmanager.source import Source
from sentinel.config.alertmanager.toml_text import Table
from sentinel.config.document import Path

GLOBAL: Path = ("global",)
_TEXTS = ("title", "text", "message", "html", "body", "summary", "description", "details", "note", "fields")
_OWN_TEXT = "texts of your own go into templates, see docs/reference/receivers.md"

Channel = Callable[[Source, Path, Table], str | None]
"""Fills the table in from the place; returns why it cannot, or None."""


def webhook(source: Source, path: Path, table: Table) -> str | None:
    written = source.text((*path, "url"))
    is_open = bool(written) and _is_bare(written)
    if (url := written if is_open else source.secret(table.comments, (*path, "url"))) is None:
        return "it has no url"
    table.values["url"] = url
    source.unsupported(table.comments, path, {"max_alerts": "messages hold what fits into a payload"})
    source.unsupported(table.comments, path, {"timeout": "a send may take 10s at most"})
    _http(source, path, table, has_headers=True)
    return None


def email(source: Source, path: Path, table: Table) -> str | None:
    values, comments = table.values, table.comments
    values["to"] = [one.strip() for one in source.text((*path, "to")).split(",") if one.strip()]
    values["from"] = source.text((*path, "from"), (*GLOBAL, "smtp_from"))
    values["smarthost"] = source.text((*path, "smarthost"), (*GLOBAL, "smtp_smarthost"))
    for key, text in (("to", "an address"), ("from", "a sender"), ("smarthost", "a mail server")):
        if not values[key]:
            return f"it has no '{key}': it needs {text}"
    username = source.text((*path, "auth_username"), (*GLOBAL, "smtp_auth_username"))
    password = source.secret(comments, (*path, "auth_password"), (*GLOBAL, "smtp_auth_password"))
    required = source.truth((*path, "require_tls"), source.truth((*GLOBAL, "smtp_require_tls"), True))
    if values["smarthost"].endswith(":465"):
        values["tls"] = "tls"
    elif not required and not username:
        values["tls"] = "none"
    elif not required:
        text = "require_tls: a password is not sent in the clear, so tls is required"
        comments.append(source.note(path, text))
    if username and password:
        values |= {"username": username, "password": password}
    elif username:
        comments.append(source.note(path, "a user without a password (CRAM-MD5 is not supported): left out"))
    if ca := source.text((*path, "tls_config", "ca_file"), (*GLOBAL, "smtp_tls_config", "ca_file")):
        values["ca_file"] = source.file(ca)
    keys = ("auth_identity", "auth_secret", "auth_secret_file", "headers", "hello")
    source.unsupported(comments, path, keys)
    source.unsupported(comments, (*path, "tls_config"), ("cert_file", "key_file", "insecure_skip_verify"))
    return None


def slack(source: Source, path: Path, table: Table) -> str | None:
    url = source.secret(table.comments, (*path, "api_url"), (*GLOBAL, "slack_api_url"))
    if url is None:
        return "it has no api_url: only incoming webhooks are supported"
    if isinstance(url, str) and "/api/chat.postMessage" in url:
        return "it posts with a bot's token: only incoming webhooks are supported"
    table.values["url"] = url
    source.unsupported(table.comments, path, {"channel": "the incoming webhook names the channel"})
    source.unsupported(table.comments, path, ("actions", "username", "icon_url", "icon_emoji", "color"))
    _http(source, path, table)
    return None


def teams(source: Source, path: Path, table: Table) -> str | None:
    if (url := source.secret(table.comments, (*path, "webhook_url"))) is None:
        return "it has no webhook_url"
    table.values["url"] = url
    _http(source, path, table)
    return None


def telegram(source: Source, path: Path, table: Table) -> str | None:
    paths = ((*path, "bot_token"), (*GLOBAL, "telegram_bot_token"))
    if (token := source.secret(table.comments, *paths)) is None:
        return "it has no bot_token"
    table.values |= {"token": token, "chat_id": source.text((*path, "chat_id"))}
    if thread := source.text((*path, "message_thread_id")):
        table.values["thread"] = int(thread) if thread.isdecimal() else thread
    if api := source.text((*path, "api_url"), (*GLOBAL, "telegram_api_url")):
        table.values["api_url"] = api.rstrip("/")
    source.unsupported(table.comments, path, ("parse_mode", "disable_notifications", "chat_id_file"))
    _http(source, path, table)
    return None


def pagerduty(source: Source, path: Path, table: Table) -> str | None:
    if (key := source.secret(table.comments, (*path, "routing_key"))) is None:
        return "it has no routing_key: only Events API v2 is supported"
    table.values["routing_key"] = key
    if url := source.text((*path, "url"), (*GLOBAL, "pagerduty_url")):
        table.values["url"] = url
    keys = ("client", "client_url", "images", "links", "severity", "class", "component", "group", "source")
    source.unsupported(table.comments, path, keys)
    _http(source, path, table)
    return None


def opsgenie(source: Source, path: Path, table: Table) -> str | None:
    paths = ((*path, "api_key"), (*GLOBAL, "opsgenie_api_key"))
    if (key := source.secret(table.comments, *paths)) is None:
        return "it has no api_key"
    table.values["api_key"] = key
    if api := source.text((*path, "api_url"), (*GLOBAL, "opsgenie_api_url")):
        table.values["url"] = api.rstrip("/")
    teams_: list[str] = []
    for one in source.items((*path, "responders")):
        name = source.text((*one, "name"))
        if source.text((*one, "type")) == "team" and name:
            teams_.append(name)
        else:
            text = "only responders of type team, with a name, have a counterpart"
            table.comments.append(source.note(one, text))
    if teams_:
        table.values["teams"] = teams_
    if tags := [one.strip() for one in source.text((*path, "tags")).split(",") if one.strip()]:
        table.values["tags"] = tags
    source.unsupported(table.comments, path, ("priority", "actions", "entity", "source", "update_alerts"))
    _http(source, path, table)
    return None


KINDS: Mapping[str, tuple[str, Channel, bool]] = {
    "webhook_configs": ("webhook", webhook, True),
    "email_configs": ("email", email, False),
    "slack_configs": ("slack", slack, False),
    "msteamsv2_configs": ("teams", teams, True),
    "telegram_configs": ("telegram", telegram, True),
    "pagerduty_configs": ("pagerduty", pagerduty, True),
    "opsgenie_configs": ("opsgenie", opsgenie, True),
}
"""Sentinel's kind, what fills it in, and whether an Alertmanager tells recoveries by default."""

REASONS: Mapping[str, str] = {
    "msteams_configs": 'Teams\' connectors have ended: make a workflow, kind = "teams"',
    "wechat_configs": 'an application of WeCom: make a group robot, kind = "wecom"',
    "discord_configs": 'reach it by kind = "apprise", url = "discord://…"',
    "pushover_configs": 'reach it by kind = "apprise", url = "pover://…"',
    "webex_configs": 'reach it by kind = "apprise", url = "wxteams://…"',
    "sns_configs": 'reach it by kind = "apprise", url = "sns://…"',
    "victorops_configs": 'reach it by kind = "apprise", url = "splunk://…"',
}
"""Why a kind of an Alertmanager has no counterpart, and what to do."""


def fill(source: Source, key: str, path: Path, name: str) -> tuple[Table, str | None]:
    """The table of one channel, and why it cannot be used, if so."""
    kind, channel, tells_recovery = KINDS[key]
    table = Table({"name": name, "kind": kind})
    why = channel(source, path, table)
    resolved = source.truth((*path, "send_resolved"), tells_recovery)
    if not resolved:
        table.values["send_resolved"] = False
    source.unsupported(table.comments, path, dict.fromkeys(_TEXTS, _OWN_TEXT))
    return table, why


def _is_bare(url: str) -> bool:
    """Whether an address carries nothing that may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return not (parts.query or parts.username or parts.password or len(parts.path) > 40)


def _http(source: Source, path: Path, table: Table, *, has_headers: bool = False) -> None:
    """Proxy, certificates and log-in, of the channel or of all."""
    base = (*path, "http_config") if source.at((*path, "http_config")) else (*GLOBAL, "http_config")
    if not source.at(base):
        return
    values, comments = table.values, table.comments
    if proxy := source.text((*base, "proxy_url")):
        values["proxy"] = proxy
    for theirs, ours in (
        ("ca_file", "ca_file"),
        ("cert_file", "client_certificate"),
        ("key_file", "client_key"),
    ):
        if file := source.text((*base, "tls_config", theirs)):
            values[ours] = source.file(file)
    source.unsupported(comments, (*base, "tls_config"), ("insecure_skip_verify", "server_name", "ca", "cert"))
    if (header := _log_in(source, base, comments)) is not None and has_headers:
        values["headers"] = {"Authorization": header}
    elif header is not None:
        comments.append(source.note(base, "a log-in of its own has no counterpart for this kind"))
    keys = ("oauth2", "http_headers", "proxy_from_environment", "no_proxy", "proxy_connect_header")
    source.unsupported(comments, base, keys)


def _log_in(source: Source, base: Path, comments: list[str]) -> Any:
    """The Authorization header; None: no log-in, or one that cannot be written down."""
    scheme = source.text((*base, "authorization", "type")) or "Bearer"
    paths = ((*base, "authorization", "credentials"), (*base, "bearer_token"))
    given = source.secret(comments, *paths)
    if given is None and (user := source.text((*base, "basic_auth", "username"))):
        scheme, given = "Basic", source.secret(comments, (*base, "basic_auth", "password"))
        if isinstance(given, str):
            given = base64.b64encode(f"{user}:{given}".encode()).decode()
    if isinstance(given, Mapping):
        text = f'write headers = {{Authorization = {{file = "…"}}}} with "{scheme} …" in the file: left out'
        comments.append(source.note(base, text))
        return None
    return f"{scheme} {given}" if given is not None else None
