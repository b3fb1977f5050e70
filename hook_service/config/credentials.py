"""Which secrets the configuration needs, and whether they are there and can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hook_service.config import users
from hook_service.youtube import credentials as authorisation

if TYPE_CHECKING:
    from hook_service.config.host import Host

WEBHOOK_CREDENTIALS = ("webhook-password", "webhook-secret", "webhook-token")


def missing_credentials(host: Host, keys: bool = True) -> list[str]:
    """A line for each secret that the configuration needs and that is missing or can't be read.

    Without `keys`: those of the web service alone, which is not given stream keys.
    """
    lines: list[str] = []

    def has(name: str) -> bool:
        try:
            return host.secret(name) is not None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            lines.append(f"the credential {host.credentials / name} can't be read ({why}); mend or replace it")
            return True

    has("database-password")
    if not any([has(name) for name in WEBHOOK_CREDENTIALS]):  # noqa: C419 - each of them is to be looked at
        lines.append(
            f"no webhook credential in {host.credentials}; create at least one of "
            f"{', '.join(WEBHOOK_CREDENTIALS)} (mode 0640 or tighter)"
        )
    if not has("api-token"):
        lines.append(f"no api-token in {host.credentials}; create it (mode 0640 or tighter)")
    has("api-read-token")
    has("session-key")
    lines += _unusable_users(host)
    for shortcode, station in host.stations.items():
        if station.azuracast is not None:
            has(f"{shortcode}.azuracast-key")
    lines += _unusable_authorisations(host)
    for shortcode, station in host.stations.items() if keys else ():
        for name, destination in station.destinations.items():
            key = f"{shortcode}.{name}.key"
            if destination.url.startswith("rtmp") and not has(key):
                where = host.credentials / key
                lines.append(f"stations.{shortcode}.destinations.{name}: no stream key; put it into {where}")
    return lines


def _unusable_users(host: Host) -> list[str]:
    where = host.credentials / "page-users"
    try:
        users.parse(host.secret("page-users"))
    except OSError as error:
        return [f"the credential {where} can't be read ({error.strerror}); mend or replace it"]
    except ValueError as error:
        return [f"the credential {where} {error}; mend or replace it"]
    return []


def _unusable_authorisations(host: Host) -> list[str]:
    lines = []
    for key, _ in host.youtube():
        where = host.credentials / f"{key}.youtube"
        try:
            text = host.secret(where.name)
            if text is not None:
                authorisation.parse(text)
        except OSError as error:
            lines.append(f"the credential {where} can't be read ({error.strerror}); mend or replace it")
        except ValueError as error:
            lines.append(f"the credential {where} {error}")
        else:
            if text is None:
                place = f"stations.{key.replace('.', '.destinations.')}.youtube"
                lines.append(f"{place}: no authorisation; make {where} with hook_service.youtube.authorise")
    return lines
