"""What the site makes of the roles' exports, on one host and on several; nothing is connected to."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.unit.roles.inventory import ROOT, Inventory, play

NAMES = ("firewall_rules", "prometheus_targets", "prometheus_server", "prometheus_exporters",
         "prometheus_exporters_listen", "hook_service_stream_keys", "hook_service_database_host",
         "hook_service_database_password", "hook_service_prometheus_url",
         "hook_service_alertmanager_url")  # fmt: skip


@pytest.fixture(scope="module", params=["example", "cluster"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Those variables on every host."""
    where = tmp_path_factory.mktemp("site")
    tasks = [
        {
            "name": "Write them down",
            "ansible.builtin.copy": {
                "content": "{{ {"
                + ", ".join(f"'{name}': {name} | default(None)" for name in NAMES)
                + "} | to_json }}",
                "dest": f"{where}/{{{{ inventory_hostname }}}}.json",
                "mode": "0600",
            },
        }
    ]
    book = where / "book.yml"
    # Beside a playbook of ours, as that is where Ansible looks for the wiring.
    for part in ("group_vars", "lookup_plugins"):
        (where / part).symlink_to(ROOT / "playbooks" / part)
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    inventory = Inventory(where, request.param)
    ran = play(inventory.path, str(book), "-e", f"ansible_python_interpreter={sys.executable}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return request.param, {path.stem: json.loads(path.read_text()) for path in where.glob("*.json")}


def ports(rules: list[dict[str, Any]]) -> dict[int, list[str]]:
    return {rule["port"]: rule["from"] for rule in rules}


def jobs(targets: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in targets:
        found.setdefault(one["job"], []).extend(one["targets"])
    return found


def test_only_what_is_needed_is_open(site: tuple[str, dict[str, Any]]) -> None:
    name, hosts = site
    if name == "example":
        assert ports(hosts["radio1"]["firewall_rules"]) == {80: [], 443: []}
        return
    watcher, stations = ["10.0.0.31/32"], ["10.0.0.11/32", "10.0.0.12/32"]
    for host in ("radio1", "radio2"):
        assert ports(hosts[host]["firewall_rules"]) == {80: [], 443: [], 9001: watcher, 9100: watcher}
    assert ports(hosts["database1"]["firewall_rules"]) == {5432: stations, 9100: watcher, 9187: watcher}
    assert hosts["monitoring1"]["firewall_rules"] == []


def test_prometheus_scrapes_everything_once_and_where_it_can_be_reached(site: tuple[str, dict[str, Any]]) -> None:
    name, hosts = site
    seen = jobs(hosts["radio1" if name == "example" else "monitoring1"]["prometheus_targets"])
    here = {"prometheus": ["127.0.0.1:9090"], "alertmanager": ["127.0.0.1:9093"]}
    if name == "example":
        assert seen == {
            **here,
            "node": ["127.0.0.1:9100"],
            "postgres": ["127.0.0.1:9187"],
            "radio": ["127.0.0.1:9000"],
        }
        return
    nodes = sorted(["10.0.0.11:9100", "10.0.0.12:9100", "10.0.0.21:9100", "127.0.0.1:9100"])
    assert sorted(seen.pop("node")) == nodes
    assert seen == {**here, "postgres": ["10.0.0.21:9187"], "radio": ["10.0.0.11:9001", "10.0.0.12:9001"]}


def test_every_target_names_its_host(site: tuple[str, dict[str, Any]]) -> None:
    _, hosts = site
    for values in hosts.values():
        assert all("host" in one["labels"] for one in values["prometheus_targets"])


def test_each_host_has_its_own_part(site: tuple[str, dict[str, Any]]) -> None:
    name, hosts = site
    if name == "example":
        assert hosts["radio1"]["prometheus_server"] is True
        assert hosts["radio1"]["prometheus_exporters"] == ["node", "postgres"]
        assert hosts["radio1"]["hook_service_stream_keys"] == {"demo": {"youtube": "5f1e"}}
        assert hosts["radio1"]["hook_service_prometheus_url"] == "http://127.0.0.1:9090"
        assert hosts["radio1"]["hook_service_alertmanager_url"] == "http://127.0.0.1:9093"
        return
    assert [host for host, values in sorted(hosts.items()) if values["prometheus_server"]] == ["monitoring1"]
    assert hosts["database1"]["prometheus_exporters"] == ["node", "postgres"]
    assert hosts["radio1"]["prometheus_exporters"] == ["node"]
    # A host holds no key of another's stations.
    assert hosts["radio1"]["hook_service_stream_keys"] == {"morning": {"youtube": "5f1e"}}
    assert hosts["radio2"]["hook_service_stream_keys"] == {"evening": {"youtube": "5f1e"}}
    assert hosts["radio2"]["hook_service_database_host"] == "10.0.0.21"
    # Its own figures are the monitoring host's, which nobody on loopback reaches.
    assert {hosts[name]["hook_service_prometheus_url"] for name in ("radio1", "radio2")} == {""}
