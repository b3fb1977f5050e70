"""Judges the whole inventory on the control machine; connects to no host. The checks are in playbooks/preflight."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# Ansible has no types of its own.
from ansible.errors import AnsibleActionFail  # type: ignore[import-untyped]
from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Fails with every mistake that playbooks.preflight finds."""

    _requires_connection = False
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Gather, check, and say it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        try:
            from playbooks import preflight  # noqa: PLC0415 - the path was only now known
            from playbooks.preflight.evaluate import read_site  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise AnsibleActionFail(
                f"{error.name} is missing from the Python that runs Ansible ({sys.executable}); install what "
                "the control machine needs: pip install -r hook_service/requirements.lock"
            ) from None
        problems = preflight.check(read_site(self._loader, task_vars or {}))
        result["changed"] = False
        if problems:
            # By itself: as the task's message Ansible would show it twice.
            self._display.display(preflight.report(problems), color="red")
            result["failed"] = True
            said = preflight.count(problems)
            result["msg"] = f"{said} in the inventory, listed above; nothing was changed on any host."
        else:
            result["msg"] = "The inventory is good."
        return result
