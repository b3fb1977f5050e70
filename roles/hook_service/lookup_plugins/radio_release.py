"""Makes a release of the service from the repository on the control machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import tomllib
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: radio_release
short_description: The release that the repository on the control machine makes
description:
  - Packs the service, its migrations and its cards into an archive that is the same for the same content, whenever
    and wherever it is made. What it is called follows from what is in it, so that a second run finds it installed.
  - The archive lies in Ansible's own temporary directory, which goes when the run ends.
options:
  _terms:
    description: The repository's directory.
    required: true
  releases:
    description: The directory on the host below which releases lie; their programs carry its name.
    type: path
    required: true
"""

RETURN = """
_raw:
  description: The release, a dict of C(name), such as 1.0.0-3f2a9c41, C(version) and C(archive), its path.
  type: list
  elements: dict
"""

_LEFT_OUT = re.compile(r"(^|/)([.#~]|__pycache__/|build/|[^/]+\.egg-info/)|~$|\.pyc$")
_PROGRAM = """#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def contents(repository: Path, releases: str) -> tuple[str, str, dict[str, tuple[bytes, int]]]:
    """The release's name, its version, and its files by path: content and mode."""
    files = {}
    for directory in ("hook_service", "sql", "templates/cards"):
        for path in sorted((repository / directory).rglob("*")):
            name = path.relative_to(repository).as_posix()
            if path.is_file() and not _LEFT_OUT.search(name):
                files[f"src/{name}"] = (path.read_bytes(), 0o644)
    try:
        project = tomllib.loads(files["src/hook_service/pyproject.toml"][0].decode())
        version = re.search(rb'^__version__ = "([^"]+)"', files["src/hook_service/__init__.py"][0], re.MULTILINE)
    except KeyError as error:
        raise AnsibleError(
            f"{repository} holds no hook_service ({error} is missing); run this from a checkout"
        ) from None
    if version is None:
        raise AnsibleError(f'{repository}/hook_service/__init__.py: has no __version__ = "…"; add it')
    digest = hashlib.sha256()
    for name, (content, _) in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    number = version[1].decode()
    release = f"{number}-{digest.hexdigest()[:8]}"
    for program, target in project["project"]["scripts"].items():
        module, _, function = target.partition(":")
        text = _PROGRAM.format(python=f"{releases}/{release}/venv/bin/python", module=module, function=function)
        files[f"venv/bin/{program}"] = (text.encode(), 0o755)
    return release, number, files


def archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    """The files as a tar.gz; the same bytes for the same files."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, 315532800  # 1980, as in wheels
            entry.uname = entry.gname = "root"
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class LookupModule(LookupBase):
    """`lookup('radio_release', repository, releases=directory)`."""

    def run(self, terms, variables=None, **kwargs):  # type: ignore[no-untyped-def]  # Ansible has no types
        """One release for each repository in `terms`."""
        self.set_options(var_options=variables, direct=kwargs)
        made = []
        for term in terms:
            release, version, files = contents(Path(term).resolve(), self.get_option("releases"))
            place = Path(constants.DEFAULT_LOCAL_TMP, f"radio-{release}.tar.gz")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive(files))
            made.append({"name": release, "version": version, "archive": str(place)})
        return made
