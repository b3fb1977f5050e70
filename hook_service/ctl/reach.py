"""Where the service is and with which token it is asked: as told, else as the host's own configuration says."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hook_service.ctl.client import PREFIX, Api, Trouble

if TYPE_CHECKING:
    from hook_service.config import Host


@dataclass(frozen=True, slots=True)
class Reach:
    """What was said on the command line. With `url` nothing of this host is looked at but the token's file."""

    config: Path
    url: str | None = None
    token_file: Path | None = None

    def host(self) -> Host:
        """This host's configuration. Raises `hook_service.config.ConfigError`."""
        from hook_service import config  # noqa: PLC0415 - pydantic, a quarter of a second that --url need not wait for

        return config.load(self.config)

    def api(self) -> Api:
        """The service, with its token. Raises Trouble."""
        if self.url is not None:
            return Api(usable(self.url), read_token(self.token_file) if self.token_file else None)
        from hook_service.config import ConfigError  # noqa: PLC0415 - as above

        try:
            host = self.host()
        except ConfigError as error:
            raise Trouble(f"{error}\nOn another machine give --url and --token-file.") from None
        return Api(local(host.web.listen), read_token(self.token_file or host.credentials / "api-token"))


def local(listen: str) -> str:
    """The address at which a service that listens on `listen` (host:port) is asked on its own host."""
    host, _, port = listen.rpartition(":")
    bare = host.strip("[]")
    if bare in ("0.0.0.0", ""):  # noqa: S104 - what it listens on, not what we do
        bare = "127.0.0.1"
    elif bare == "::":
        bare = "::1"
    return f"http://[{bare}]:{port}" if ":" in bare else f"http://{bare}:{port}"


def usable(url: str) -> str:
    """The service's root of what was given. Raises Trouble for an address over which no token should go."""
    said = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(said.rstrip("/").removesuffix(PREFIX))
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise Trouble(f"{url!r} is no address of the service: write https://radio.example.org")
    if parts.scheme == "http" and not _is_here(host):
        raise Trouble(
            f"{url}: over http everyone on the way could read the token; write https://, or go through ssh -L"
        )
    return parts.geturl().rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(file: Path) -> str:
    """The token in a file. Raises Trouble."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except PermissionError:
        raise Trouble(f"{file} can't be read by this user: use sudo, or --token-file with a token of yours") from None
    except FileNotFoundError:
        raise Trouble(f"{file} is not there: name the file that holds your token with --token-file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"{file} can't be read: {error}") from None
    if not token or len(token) > 4096 or not token.isprintable():
        raise Trouble(f"{file} holds no token: it is one line of printable characters")
    return token
