"""Preflight, as an operator meets it: the real ansible-playbook on the inventories that ship, and on harmed ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager  # type: ignore[import-untyped]
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]
from ansible.plugins.loader import init_plugin_loader  # type: ignore[import-untyped]
from ansible.vars.hostvars import HostVars  # type: ignore[import-untyped]
from ansible.vars.manager import VariableManager  # type: ignore[import-untyped]

from playbooks import preflight
from playbooks.preflight.evaluate import read_site
from tests.unit.roles.inventory import ANSIBLE, ROOT, Inventory, play

init_plugin_loader()
# Connecting is what preflight must not do: a host that is asked makes the run fail in another way.
NOBODY = {"ANSIBLE_SSH_EXECUTABLE": "/bin/false", "ANSIBLE_TIMEOUT": "1"}


def mistakes_of(inventory: Inventory) -> list[str]:
    """The mistakes, without starting Ansible for them."""
    loader = DataLoader()
    loader.set_basedir(str(ROOT / "playbooks"))
    manager = InventoryManager(loader, sources=[str(inventory.path)])
    variables = {
        "hostvars": HostVars(manager, VariableManager(loader, manager), loader),
        "groups": manager.get_groups_dict(),
        "ansible_inventory_sources": [str(inventory.path)],
    }
    found = preflight.check(read_site(loader, variables))
    return [f"{one.place} {one.variable}: {one.fault} -> {one.fix}" for one in found]


def judge(
    inventory: Inventory, playbook: str = "playbooks/preflight.yml", *arguments: str
) -> tuple[int, list[str], str]:
    """Exit status, the mistakes (place, variable, fault, fix in one line each), and the whole output."""
    run = play(inventory.path, playbook, *arguments, environment=NOBODY)
    output = run.stdout + run.stderr
    found = re.findall(r"^ *\d+\. (.+)\n    (.+)\n    (-> .+)$", output, re.MULTILINE)
    return run.returncode, [" ".join(one) for one in found], output


@pytest.mark.parametrize("name", ["example", "cluster"])
def test_inventory_that_ships_is_good_once_it_is_filled_in(name: str, tmp_path: Path) -> None:
    status, mistakes, output = judge(Inventory(tmp_path, name))
    assert mistakes == []
    assert status == 0, output


def test_example_as_it_ships_says_what_to_fill_in(tmp_path: Path) -> None:
    run = play(ROOT / "inventories/example", "site.yml", environment=NOBODY)
    assert run.returncode != 0
    for wanted in ("hosts.yml:", "ansible_host: still holds the placeholder", "vault_database_password: is missing"):
        assert wanted in run.stdout
    assert "nginx_rtmp_server_name: still holds the placeholder CHANGE-ME" in run.stdout


# File, what is there, what the operator wrote instead, the line that is to be named (its text; '' where there is
# no such line), and what is to be said.
TEN = [
    ("vault", "vault_api_token: 5f1e", "vault_api_token: CHANGE-ME", "vault_api_token:",
     ("vault_api_token: still holds the placeholder CHANGE-ME", "openssl")),
    ("radio", "firewall_ssh_ports: []", "firewall_ssh_ports: 22", "firewall_ssh_ports:",
     ("firewall_ssh_ports: 22 is not a list", "after '- '")),
    ("radio", "alert_receivers: []", "alert_receiver: []", "alert_receiver:",
     ("prometheus_alert_receiver: is not a variable", "did you mean prometheus_alert_receivers?")),
    ("radio", "common_timezone: Etc/UTC", "youtube_stream_key: 5f1e", "youtube_stream_key:",
     ("youtube_stream_key: has another name here", "hook_service_stream_keys.SHORTCODE")),
    ("radio", "switch_delay: 3.0", "switch_dela: 3.0", "switch_dela:",
     ("hook_service_stations.demo.switch_dela: is not a setting", "switch_delay")),
    ("radio", "timezone: Europe/Berlin", "timezone: Europe/Berln", "Europe/Berln",
     ("hook_service_stations.demo.timezone:", "not a time zone", "Europe/Berlin")),
    ("radio", "nginx_rtmp_acme_email:", "# nginx_rtmp_acme_email:", "",
     ("nginx_rtmp_acme_email: is missing on radio1", "set yours")),
    ("radio", "# youtube-backup:\n      #   url: rtmps://b.rtmps.youtube.com/live2?backup=1",
     "second: {url: 'srt://b.music.net:9000', backup_of: first}", "second:",
     ("hook_service_stations.demo.destinations.second.backup_of: 'first' is not", "youtube")),
    ("vault", "    youtube: 5f1e", "    youtube: 5f1e\n    twitch: 5f1e", "twitch:",
     ("hook_service_stream_keys.demo.twitch: is a key for a destination that there isn't", "remove it")),
    ("radio", "loops_source: ''", "loops_source: /no/such/loops", "/no/such/loops",
     ("hook_service_loops_source: /no/such/loops is not a directory", "absolute path")),
]  # fmt: skip


def test_ten_kinds_of_mistakes_are_ten_messages_and_no_host_is_asked(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    for file, old, new, _, _ in TEN:
        inventory.replace(file, old, new)
    status, mistakes, output = judge(inventory, "site.yml")
    assert status != 0
    assert len(mistakes) == 10, output
    for file, _, _, line, said in TEN:
        matching = [mistake for mistake in mistakes if all(part in mistake for part in said)]
        assert len(matching) == 1, (said, mistakes)
        assert matching[0].startswith(inventory.line(file, line) if line else str(inventory.file(file))), matching[0]
        assert "-> " in matching[0]
    # Nothing but the one task ran, and that on nobody.
    assert re.findall(r"^TASK \[(.+?)\]", output, re.MULTILINE) == ["The inventory is good"]
    assert "changed=0    unreachable=0    failed=1" in output
    assert "5f1e" not in output, "a secret was shown"


UTC = "common_timezone: Etc/UTC"
SERVER = "server_name: radio.music.net"
FADE = "    fade_in: 1.0                    # seconds of a fade; also where a crossfade can't be had"
MISTAKES = [
    ("vault", "vault_api_token: 5f1e", "", "hook_service_api_token: refers to vault_api_token, which is not defined"),
    ("vault", "vault_database_password: 5f1e", "", "vault_database_password: is missing"),
    ("vault", "youtube: 5f1e", "youtub: 5f1e", "destinations.youtube: has no stream key"),
    ("radio", "user: azuracast", "user: a:b", "hook_service_webhook_user: holds a colon"),
    ("radio", "user: azuracast", "token: a/b", "hook_service_webhook_token: can't be the last part"),
    ("radio", UTC, "common_timezone: UTC+1", "common_timezone: 'UTC+1' is not a time zone"),
    ("radio", UTC, "common_timezone: [UTC]", "common_timezone: ['UTC'] is not text"),
    ("radio", UTC, "common_timezone:", "common_timezone: has no value"),
    ("radio", UTC, "common_timezon: UTC", "did you mean common_timezone?"),
    ("radio", UTC, "METADATA_WATCHER_API_TOKEN: x", "rename it to hook_service_api_token"),
    ("radio", UTC, "max_restart_attempts: 5", "max_restart_attempts: does not exist any more"),
    ("radio", UTC, "postgresql_radio_password: x", "postgresql_radio_password: has no effect"),
    ("radio", UTC, "postgresql_allowed_networks: [0.0.0.0/0]", "0.0.0.0/0 lets in everyone"),
    (
        "radio",
        "ssh_ports: []",
        "ssh_ports: [443]",
        "firewall_ssh_ports: port 443 is taken by nginx's HTTPS on radio1",
    ),
    ("radio", SERVER, "server_name: 192.0.2.7", "nginx_rtmp_server_name: '192.0.2.7' is not a name"),
    ("radio", SERVER, "server_name: https://r.net", "nginx_rtmp_server_name: 'https://r.net' is not a name"),
    ("radio", SERVER, "server_name: radio.local", "no certificate authority signs"),
    ("radio", "tls: acme", "tls: given", "nginx_rtmp_tls_key: is missing on radio1"),
    ("radio", "profile: 720p30", "profile: 8k", "hook_service_stations.demo.profile: '8k' is not a profile"),
    ("radio", "url: https://radio.music.net", "url: ftp://radio.music.net", "audio.url: is not a mount's address"),
    ("radio", FADE, "    azuracast: {url: music.net}", "stations.demo.azuracast.url: is not AzuraCast's address"),
    ("radio", FADE, "    azuracast: {shortcode: demo}", "hook_service_stations.demo.azuracast.url: is missing"),
    ("radio", FADE, "    policies: {offline: slat}", "stations.demo.policies.offline: 'slat' is neither a policy"),
    ("radio", UTC, "hook_service_azuracast_keys: {demo: a}", "demo: is a key for an AzuraCast that is not asked"),
    ("radio", UTC, "hook_service_azuracast_keys: {jazz: a}", "jazz: is a key for a station that radio1 does not"),
    (
        "radio",
        "# youtube: {stream: ID}",
        "youtube: {strem: ID}",
        "youtube.youtube.strem: is not a setting -> did you",
    ),
    (
        "radio",
        "# youtube: {stream: ID}",
        "youtube: {stream: ID}",
        "youtube.youtube: has no authorisation to ask YouTube",
    ),
    ("radio", UTC, "hook_service_youtube_credentials: {demo: {youtube: {}}}", "about which YouTube is not asked"),
    ("radio", "ada: {role: operator, ", "ada: {role: admin, ", "hook_service_users.ada.role: is no role"),
    ("radio", "ada: {role: operator, ", "a da: {role: viewer, ", "hook_service_users.a da: is no name to sign in"),
    ("radio", "ada: {role: operator, ", "ada: {", "hook_service_users.ada: needs role and password"),
    ("vault", "page_password: 5f1e-to-12", "page_password: to-12 # ", "ada.password: is too short for what"),
    ("vault", "vault_session_key: 5f1e", "vault_session_key: 5 # ", "hook_service_session_key: is too short"),
    ("radio", "hook_service_session_key:", "# ", "hook_service_session_key: is missing on radio1: there are"),
    ("hosts.yml", "    monitoring:\n      hosts:\n        radio1:", "", "monitoring: the group is missing"),
    ("hosts.yml", "    stations:", "    station:", "stations: the group is missing -> put a host into stations; is"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), MISTAKES)
def test_mistake_is_named(file: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.replace(file, old, new)
    mistakes = mistakes_of(inventory)
    assert any(said in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "host_vars/radio2.yml",
            "  evening:",
            "  morning:",
            "hook_service_stations.morning: is on radio1 and on radio2",
        ),
        ("host_vars/radio2.yml", "radio2.music.net", "radio1.music.net", "is the name of radio1 already"),
        ("radio", "hook_service_database_host: ", "# ", "hook_service_database_host: the database is on database1"),
        ("radio", "postgresql_listen_addresses: ", "# ", "only database1 itself reaches the database"),
        ("radio", "postgresql_allowed_networks: ", "# ", "does not let in radio1 (10.0.0.11)"),
        ("hosts.yml", "private_address: 10.0.0.31", "private_address: monitoring", "'monitoring' is not an address"),
        ("hosts.yml", "        database1:\n", "        database1:\n        radio1:\n", "database: has several hosts"),
    ],
)
def test_mistake_between_hosts_is_named(file: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    inventory = Inventory(tmp_path, "cluster")
    inventory.replace(file, old, new)
    mistakes = mistakes_of(inventory)
    assert any(said in mistake for mistake in mistakes), mistakes


def test_a_key_of_azuracast_is_judged_without_being_shown(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.replace("radio", FADE, "    azuracast: {url: https://azuracast.music.net}")
    inventory.append("radio", "hook_service_azuracast_keys: {demo: 0123abcd:4567}\n")
    assert mistakes_of(inventory) == []
    inventory.replace("radio", "demo: 0123abcd:4567", "demo: 0123abcd 4567")
    mistakes = mistakes_of(inventory)
    assert ["hook_service_azuracast_keys.demo: is not an API key" in one for one in mistakes] == [True]
    assert "0123abcd" not in mistakes[0]


def test_an_authorisation_for_youtube_is_judged_without_being_shown(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.replace("radio", "# youtube: {stream: ID}", "youtube: {stream: ID, rebind: true}")
    whole = "{client_id: a, client_secret: s3cret, refresh_token: 1//s3cret}"
    inventory.append("radio", f"hook_service_youtube_credentials: {{demo: {{youtube: {whole}}}}}\n")
    assert mistakes_of(inventory) == []
    inventory.replace("radio", "client_id: a, ", "")
    mistakes = mistakes_of(inventory)
    said = "hook_service_youtube_credentials.demo.youtube: has no usable client_id"
    assert [said in one for one in mistakes] == [True]
    assert "s3cret" not in mistakes[0]


def test_whole_inventory_is_judged_whatever_the_limit(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path, "cluster")
    inventory.replace("host_vars/radio2.yml", "timezone: Europe/Berlin", "timezone: Europe/Berln")
    status, mistakes, _ = judge(inventory, "site.yml", "--limit", "radio1", "--tags", "nginx_rtmp")
    assert status != 0
    assert [inventory.line("host_vars/radio2.yml", "Berln") in mistake for mistake in mistakes] == [True]


def test_variable_of_the_command_line_is_judged_too(tmp_path: Path) -> None:
    status, mistakes, output = judge(
        Inventory(tmp_path),
        "playbooks/preflight.yml",
        "-e",
        "firewall_enabled=false",
        "-e",
        "hook_service_restart_broadcast=true",
        "-e",
        "common_timezone=Mars",
    )
    assert status != 0
    assert any("firewall_enabled: 'false' is not true or false" in mistake for mistake in mistakes), output
    assert any("common_timezone: 'Mars'" in mistake for mistake in mistakes), output
    assert len(mistakes) == 2, output


def test_encrypted_vault_is_read_with_its_lines(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.replace("vault", "vault_api_token: 5f1e", "vault_api_token: CHANGE-ME")
    place = inventory.line("vault", "vault_api_token")
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    vault = ANSIBLE.with_name("ansible-vault")
    command = [str(vault), "encrypt", "--vault-password-file", str(password), str(inventory.file("vault"))]
    subprocess.run(command, check=True, capture_output=True)
    _, mistakes, output = judge(inventory, "playbooks/preflight.yml", "--vault-password-file", str(password))
    assert len(mistakes) == 1, output
    assert mistakes[0].startswith(f"{place} vault_api_token: still holds the placeholder"), output
