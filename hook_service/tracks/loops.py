"""The names of loops: relative to the directory of loops, or absolute and inside it. Nothing here touches the
disk.
"""

import posixpath
from typing import Final

MAX_PATH: Final = 1024
"""Characters: the width of `track_mappings.loop_file_path`."""


class LoopNameError(ValueError):
    """A name that can't be a loop. The message says why, without the name."""


def loop_path(loops_dir: str, name: str) -> str:
    """The absolute path of the loop `name`. Raises LoopNameError.

    `loops_dir` is absolute. The name may come from a custom field that every DJ of the station can write to,
    so it must not lead anywhere else; what a symbolic link inside the directory leads to is for whoever opens
    it.
    """
    name = name.strip()
    if not name:
        raise LoopNameError("is empty")
    if len(name) > MAX_PATH:
        raise LoopNameError(f"is longer than {MAX_PATH} characters")
    if not name.isprintable():
        raise LoopNameError("contains control characters")
    if "://" in name:
        raise LoopNameError("is a URL; a loop is a file in the directory of loops")
    if ".." in name.split("/"):
        raise LoopNameError('contains ".."')
    base = posixpath.normpath(loops_dir)
    path = posixpath.normpath(posixpath.join(base, name))
    if path == base or name.endswith("/"):
        raise LoopNameError("is a directory")
    if not path.startswith(base.rstrip("/") + "/"):
        raise LoopNameError("lies outside the directory of loops")
    return path
