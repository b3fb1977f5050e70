"""Judges what verify.yml has gathered of a host and looks at it from outside; or shows all verdicts as a table."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped] # Ansible has no types of its own

ROOT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """`verify: {outside: …, units: …, …}` returns `verdicts`; `verify: {table: {host: verdicts}}` shows them."""

    _requires_connection = False
    _VALID_ARGS = frozenset({"outside", "units", "health", "destinations", "prometheus", "table"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Nothing is changed anywhere."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        from playbooks import verify  # noqa: PLC0415 - the path was only now known
        from playbooks.verify import judge, outside  # noqa: PLC0415

        asked = self._task.args
        found: list[verify.Verdict] = []
        if "outside" in asked:
            found += outside.look(outside.Outside(**asked["outside"]))
        if "units" in asked:
            found += judge.units(asked["units"]["names"], asked["units"]["states"])
        if "health" in asked:
            found += judge.health(asked["health"])
        if "destinations" in asked:
            found += judge.destinations(asked["destinations"]["before"], asked["destinations"]["after"])
        if "prometheus" in asked:
            told = asked["prometheus"]
            found += judge.targets(told["targets"], told["wanted"])
            found += judge.alertmanagers(told["alertmanagers"], told["ready"])
            found += judge.alerts(told["alerts"])
        result["changed"] = False
        if "table" not in asked:
            result["verdicts"] = [asdict(one) for one in found]
        else:
            lost = {
                "ok": False,
                "what": "reached by Ansible",
                "found": "no",
                "fix": "ssh to it: is it up, is the key right?",
            }
            rows = [
                (host, verify.Verdict(**one))
                for host, verdicts in asked["table"].items()
                for one in verdicts or ([] if "ansible_limit" in (task_vars or {}) else [lost])
            ]
            failed = [one for _, one in rows if not one.ok]
            self._display.display("\n" + verify.table(rows) + "\n", color="red" if failed else "green")
            if failed:
                result.update(
                    failed=True,
                    msg=f"{len(failed)} of {len(rows)} checks failed; the table above says how to mend them.",
                )
        return result
