"""What bringing the nightly backups to another host needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from playbooks.preflight.model import Problem, Site

_TARGET = re.compile(r"[A-Za-z0-9_.-]+@(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[A-Za-z0-9_./~-]+")
_PUBLIC = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+=*")


def check(site: Site) -> Iterator[Problem]:
    """The place, the other host's key, and the key to log in there with; none of them where there is no copy."""
    for host in site.members("database"):
        target = str(host.get("backup_copy_to") or "")
        if not target:
            continue
        found = _TARGET.fullmatch(target)
        if not found:
            fix = "write USER@HOST:DIRECTORY, such as radio@store.example.org:backups"
            yield site.problem(host, ["backup_copy_to"], f"{target!r} is no place that rsync knows", fix)
        name = found[1] if found else "HOST"
        if not _PUBLIC.search(str(host.get("backup_copy_host_key") or "")):
            fix = f"set it to what `ssh-keyscan {name}` shows, once you have compared the fingerprint"
            yield site.problem(host, ["backup_copy_host_key"], "has no public SSH key", fix)
        key = "backup_copy_key"
        if not host.broken(key) and "PRIVATE KEY" not in str(host.get(key) or ""):
            fix = "put the file that ssh-keygen made into vault.yml, as vault_backup_copy_key: |, indented"
            yield site.problem(host, [key], "is no private SSH key", fix)
