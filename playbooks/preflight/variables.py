"""Names and types: what is renamed, unknown, without effect, undefined, of the wrong type, or still a placeholder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from playbooks.preflight.model import Host, Problem, Site, Undefined, nearest

PLACEHOLDER = "CHANGE-ME"

# Names that people bring with them, from set-ups in which one FFmpeg is started for each track. Capitals don't count.
RENAMED = {
    "api_token": "hook_service_api_token",
    "audio_bitrate": "hook_service_profiles.NAME.audio_kbps",
    "audio_url": "hook_service_stations.SHORTCODE.audio.url",
    "azuracast_audio_url": "hook_service_stations.SHORTCODE.audio.url",
    "database_password": "vault_database_password",
    "default_loop": "hook_service_stations.SHORTCODE.default_loop",
    "fade_duration": "hook_service_stations.SHORTCODE.fade_in",
    "ffmpeg_encoder": "hook_service_profiles.NAME.encoder",
    "loops_path": "hook_service_loops_source",
    "postgres_password": "vault_database_password",
    "prometheus_alert_webhooks": "prometheus_alert_receivers, one entry each, its address at webhook.url",
    "stream_key": "hook_service_stream_keys.SHORTCODE.DESTINATION",
    "timezone": "common_timezone",
    "video_bitrate": "hook_service_profiles.NAME.video_kbps",
    "video_encoder": "hook_service_profiles.NAME.encoder",
    "webhook_password": "hook_service_webhook_password",
    "webhook_secret": "hook_service_webhook_secret",
    "youtube_stream_key": "hook_service_stream_keys.SHORTCODE.DESTINATION",
}
GONE = {
    "max_restart_attempts": "a process is restarted for ever, ever more slowly",
    "overlap_duration": "tracks don't overlap any more: one timeline goes on without end",
    "track_overlap_duration": "tracks don't overlap any more: one timeline goes on without end",
}
_RENAMED_PREFIXES = {"metadata_watcher_": "hook_service_", "postgres_": "postgresql_", "monitoring_": "prometheus_"}
_SECRET = re.compile(r"password|token|secret|credentials|_keys?\b|vault_")


def check(site: Site) -> Iterator[Problem]:
    """Everything about the variables themselves."""
    for host in site.hosts.values():
        for name, value in host.given.items():
            yield from _name(site, host, name)
            # A group's variable may be for other hosts of the group.
            if name not in site.options or any(
                name in site.roles[role].options for role in host.roles if role in site.roles
            ):
                yield from _undefined(site, host, [name], value)
            yield from _placeholders(site, host, [name], value)
            if name in site.options and name not in site.wired:
                yield from _type(site, host, [name], value, site.options[name])
        yield from _required(site, host)
    for name, file, line in site.places.settings():
        if name in site.wired:
            fix = f"remove it; {site.wired_file} says which variable it is made from"
            yield Problem(file, line, name, "has no effect, the site sets it itself", fix)


def is_secret(name: str, spec: Mapping[str, Any] | None = None) -> bool:
    """Whether a variable's value must not be shown."""
    return bool((spec or {}).get("no_log")) or bool(_SECRET.search(name))


def _name(site: Site, host: Host, name: str) -> Iterator[Problem]:
    lower = name.lower()
    if name in site.options or name in site.wired:
        return
    if lower in RENAMED:
        yield site.problem(host, [name], "has another name here", f"rename it to {RENAMED[lower]}")
        return
    if lower in GONE:
        yield site.problem(host, [name], "does not exist any more", f"remove it: {GONE[lower]}")
        return
    for old, new in _RENAMED_PREFIXES.items():
        if lower.startswith(old):
            wanted = new + lower.removeprefix(old)
            known = wanted if wanted in site.options else nearest(wanted, site.options)
            fix = f"rename it to {known}" if known else f"the variables of this role begin with {new}; remove it"
            yield site.problem(host, [name], "has another name here", fix)
            return
    role = next((role for role in site.roles if name.startswith(f"{role}_")), None)
    if role is None:
        return
    near = nearest(name, site.options)
    fix = f"did you mean {near}?" if near else f"remove it, or see roles/{role}/README.md for the names there are"
    yield site.problem(host, [name], f"is not a variable of the role {role}", fix)


def _undefined(site: Site, host: Host, path: list[Any], value: Any) -> Iterator[Problem]:
    if not isinstance(value, Undefined) or not value.judged:
        return
    if not value.name:
        yield site.problem(host, path, "can't be evaluated", "mend its {{ … }}")
        return
    known = {*host.given, *(name for name, _, _ in site.places.settings())} - {str(path[0]), value.name}
    near = nearest(value.name, known)
    if value.name.startswith("vault_"):
        fix = f"define {value.name} in vault.yml beside this file (copy vault.yml.example)"
    else:
        fix = f"define {value.name}, or remove this"
    if near:
        fix += f"; or did you mean {near}?"
    yield site.problem(host, path, f"refers to {value.name}, which is not defined", fix)


def _placeholders(site: Site, host: Host, path: list[Any], value: Any) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _placeholders(site, host, [*path, key], inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _placeholders(site, host, [*path, index], inner)
    elif (
        isinstance(value, str) and PLACEHOLDER in value and not site.places.is_template(path, host.name, host.groups)
    ):
        if is_secret(str(path[0])):
            fix = "put the secret there (`openssl rand -hex 24` makes one), then encrypt the file with ansible-vault"
        else:
            fix = "put your own value there"
        yield site.problem(host, path, f"still holds the placeholder {PLACEHOLDER}", fix)


def _required(site: Site, host: Host) -> Iterator[Problem]:
    for role in host.roles:
        for name, spec in site.roles[role].options.items() if role in site.roles else ():
            if spec.get("required") and name not in host.given and name not in site.wired:
                what = spec.get("description", "")
                what = what if isinstance(what, str) else " ".join(what)
                yield site.problem(host, [name], f"is missing on {host.name}", f"set it: {what}")


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str, int, float), "text"),
    "path": ((str,), "a path"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "list": ((list, tuple), "a list"),
    "dict": ((dict,), "keys with values"),
}
_EXAMPLES = {
    "bool": "write true or false without quotes; with -e: '{\"%s\": false}'",
    "list": "write each item on a line of its own, after '- '",
    "dict": "write 'key: value' lines below it",
    "int": "write digits without quotes",
    "float": "write digits without quotes",
    "str": "put it in quotes",
    "path": "put it in quotes",
}


def _type(site: Site, host: Host, path: list[Any], value: Any, spec: Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(value, Undefined):
        return
    kind = spec.get("type", "str")
    shown = "its value" if is_secret(str(path[0]), spec) else repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    if value is None:
        yield site.problem(host, path, "has no value", "give it one, or remove the line for the default")
        return
    if kind == "bool" and value == "true" and not site.places.setting(str(path[0]), host.name, host.groups):
        return  # of -e name=true, which is text; the text false would be as true as this one
    if kind in ("int", "float") and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        value = float(value) if "." in value else int(value)  # a template's result, or -e on the command line
    wanted, meaning = _TYPES.get(kind, ((object,), ""))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted and object not in wanted):
        fix = _EXAMPLES[kind] % path[0] if kind == "bool" else _EXAMPLES[kind]
        yield site.problem(host, path, f"{shown} is not {meaning}", fix)
        return
    choices = spec.get("choices")
    if choices and kind != "list" and value not in choices:
        yield site.problem(host, path, f"{shown} is not possible", f"use one of: {', '.join(map(str, choices))}")
    if isinstance(value, list) and spec.get("elements"):
        inner = {**spec, "type": spec["elements"], "elements": None}
        for index, item in enumerate(value):
            yield from _type(site, host, [*path, index], item, inner)
    if isinstance(value, Mapping) and spec.get("options"):
        yield from _keys(site, host, path, value, spec["options"])


def _keys(
    site: Site, host: Host, path: list[Any], value: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[Problem]:
    for key, item in value.items():
        if key in options:
            yield from _type(site, host, [*path, key], item, options[key])
            continue
        near = nearest(str(key), options)
        fix = f"did you mean {near}?" if near else f"known keys here: {', '.join(options)}"
        yield site.problem(host, [*path, key], "is not a setting", fix)
    for key, spec in options.items():
        if spec.get("required") and key not in value:
            yield site.problem(host, path, f"has no {key}", f"add {key}")
