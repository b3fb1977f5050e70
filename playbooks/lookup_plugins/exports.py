"""Sums what the roles of a host, or of all hosts, export for others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# Ansible has no types of its own.
from ansible.errors import AnsibleError  # type: ignore[import-untyped]
from ansible.plugins.lookup import LookupBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: exports
short_description: What roles export for others
description:
  - Sums a host's C(<role>_firewall_rules), or every host's C(<role>_scrape_targets), over the roles that the site
    gives them. Role defaults are only seen inside the role's own play, and those of other hosts nowhere; here they
    are read from the roles. So a run with C(--limit) or C(--tags) sees the whole site too.
options:
  _terms:
    description: C(firewall_rules), of this host; or C(scrape_targets), of all hosts, as this host reaches them.
    required: true
"""

RETURN = """
_raw:
  description: The sum, one list.
  type: list
"""

ROOT = Path(__file__).resolve().parents[2]


class LookupModule(LookupBase):  # type: ignore[misc]
    """`lookup('exports', 'firewall_rules')`."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[Any]:
        """The sums, one for each term."""
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        from playbooks.preflight.evaluate import Evaluator  # noqa: PLC0415 - the path was only now known

        variables = variables or {}
        evaluator = Evaluator(self._loader, variables)
        here = variables["inventory_hostname"]
        sums = []
        for term in terms:
            if term == "firewall_rules":
                sums.append(_exports(evaluator, here, term))
            elif term == "scrape_targets":
                targets = [
                    _seen_from(here, host, one)
                    for host in evaluator.everyone()
                    for one in _exports(evaluator, host, term)
                ]
                sums.append([one for one in targets if one["targets"]])
            else:
                raise AnsibleError(
                    f"{term!r} is nothing that roles export; there are firewall_rules and scrape_targets"
                )
        return sums


def _exports(evaluator: Any, host: str, what: str) -> list[Any]:
    from playbooks.preflight.model import Undefined, roles_of  # noqa: PLC0415 - as above

    names = [f"{role}_{what}" for role in roles_of(evaluator.member_of(host))]
    found = []
    for name, value in evaluator.values(host, names).items():
        if isinstance(value, Undefined):
            raise AnsibleError(f"{name} can't be evaluated for {host}: {value.name or 'mend its template'}")
        found += value
    return found


def _seen_from(here: str, host: str, exported: dict[str, Any]) -> dict[str, Any]:
    """A target as another host reaches it: not what listens on its own loopback. Alerts name a host by its label."""
    reached = [
        one for one in exported["targets"] if here == host or not one.startswith(("127.", "localhost:", "[::1]"))
    ]
    return {**exported, "targets": reached, "labels": {"host": host, **exported.get("labels", {})}}
