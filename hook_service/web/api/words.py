"""The words of the OpenAPI document: docstrings, which Python leaves out when it is told to save memory.

The services run with `PYTHONOPTIMIZE=2`, and the document is for whoever reads it on a host.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def restore(module: ModuleType) -> None:
    """Give a module, its functions and its classes the docstrings of its source, unless it has its own."""
    if module.__doc__ is not None:
        return
    tree = ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8"))
    module.__doc__ = ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (words := ast.get_docstring(node)):
            getattr(module, node.name).__doc__ = words
