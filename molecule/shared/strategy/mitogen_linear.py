"""Mitogen's strategy by a path that does not change with Python's version: Ansible finds plugins by directory."""

import ansible_mitogen.affinity
from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule

__all__ = ["StrategyModule"]

# Its own pins each process to one CPU, and what Ansible starts inherits that: hosts of two CPUs would run on one.
ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()
