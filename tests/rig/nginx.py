"""Rendering nginx configurations and running them, for the relay and for the platform."""

import grp
import pwd
from pathlib import Path
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined

from tests.rig import child
from tests.rig.net import LOOPBACK, RigError, http

ROOT = Path(__file__).resolve().parents[2]
RELAY_TEMPLATE = ROOT / "roles/nginx_rtmp/templates/relay.conf.j2"


def module() -> str:
    """The path of the RTMP module."""
    for directory in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"):
        path = Path(directory, "ngx_rtmp_module.so")
        if path.exists():
            return str(path)
    raise RigError("ngx_rtmp_module.so (Debian: libnginx-mod-rtmp) is not installed: run `make setup`")


def program() -> str:
    """The path of nginx."""
    return child.find_program("nginx")


def render_relay(path: Path, rtmp: str, stat: str) -> None:
    """Write the relay's configuration, as the Ansible role would; its files lie beside it."""
    directory = path.parent
    directory.mkdir(parents=True, exist_ok=True)
    # As Ansible does it: no blank line where a block tag stood.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    text = environment.from_string(RELAY_TEMPLATE.read_text()).render(
        relay_rtmp_listen=rtmp,
        relay_stat_listen=stat,
        relay_run_dir=directory,
        relay_pid=directory / "relay.pid",
        relay_error_log=directory / "relay-error.log",
        relay_module=module(),
        # The worker needs nothing that root has; started by anyone else, nginx can't change its user.
        relay_user=account(),
    )
    path.write_text(text)
    path.chmod(0o640)


def account() -> str:
    """What `user` says: an account and its group when root starts nginx, else empty."""
    user = child.unprivileged("www-data")
    if user is None:
        return ""
    return f"{user} {grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name}"


def streams(stat_port: int, application: str) -> dict[str, dict[str, int]]:
    """What /stat says of each stream: bytes_in, bw_* (bits/s), clients, publishing (0 or 1). {} when it is down."""
    try:
        status, body = http(f"http://{LOOPBACK}:{stat_port}/stat", timeout=2)
        root = ElementTree.fromstring(body) if status == 200 else None
    except (OSError, ElementTree.ParseError):
        return {}
    found: dict[str, dict[str, int]] = {}
    for app in root.iter("application") if root is not None else ():
        if app.findtext("name") != application:
            continue
        for stream in app.iter("stream"):
            found[stream.findtext("name") or ""] = {
                "bytes_in": int(stream.findtext("bytes_in") or 0),
                "bw_in": int(stream.findtext("bw_in") or 0),
                "bw_audio": int(stream.findtext("bw_audio") or 0),
                "bw_video": int(stream.findtext("bw_video") or 0),
                "clients": int(stream.findtext("nclients") or 0),
                "publishing": int(stream.find("publishing") is not None),
            }
    return found
