"""The network to one destination cut, throttled, lossy, slow; the mount's; no names; the platform gone.

Not every kernel has netem. Packets are lost by nftables, the rate is limited by tc's htb, and the delay is of packets
too: each goes through a tun device and is kept for half a second (see far.py).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.stage import Stage
from tests.hosts.studio import SECOND_PORT
from tests.rig.layout import PORTS

_FAR = Path(__file__).with_name("far.py")
_TABLE = "faults"
_SLOW = "what leaves for this destination has to wait"


def _rule(rule: str, stage: Stage) -> None:
    stage.host(
        f"nft add table inet {_TABLE}\n"
        f"nft add chain inet {_TABLE} out '{{ type filter hook output priority 10; }}'\n"
        f"nft add rule inet {_TABLE} out {rule}"
    )


def _no_rule(stage: Stage) -> None:
    stage.host(f"nft delete table inet {_TABLE}")


def _refuse(stage: Stage) -> None:
    """As a platform does whose server has ended: it hangs up, and answers connections with a reset."""
    _rule(f"tcp dport {SECOND_PORT} tcp flags syn / syn,ack reject with tcp reset", stage)
    stage.host(f"kill -KILL {stage.pid('destination:second')}")


def _throttle(stage: Stage) -> None:
    stage.host(
        "tc qdisc add dev eth0 root handle 1: htb\n"
        "tc class add dev eth0 parent 1: classid 1:10 htb rate 1mbit\n"
        f"tc filter add dev eth0 parent 1: protocol ip u32 match ip dport {SECOND_PORT} 0xffff flowid 1:10"
    )


def _no_throttle(stage: Stage) -> None:
    stage.host("tc qdisc delete dev eth0 root")


def _bring_far(stage: Stage) -> None:
    stage.put(_FAR, "/run/far.py")


def _far(stage: Stage) -> None:
    address = stage.studio_address()
    stage.host(f"systemd-run --quiet --unit=far --collect python3 /run/far.py {address} {SECOND_PORT} 0.5")
    stage.host("for n in $(seq 50); do ip rule | grep -q 'lookup 213' && exit 0; sleep 0.1; done; exit 1")


def _near(stage: Stage) -> None:
    stage.host("ip rule delete lookup 213; sleep 0.7; systemctl stop far || true")


def _no_names(stage: Stage) -> None:
    """Nobody resolves any more, and the mount has to be found anew."""
    stage.host("cp /etc/hosts /run/hosts.before; cp /etc/resolv.conf /run/resolv.before")
    # Bind mounts or not: the files stay, their content goes.
    stage.host("echo '127.0.0.1 localhost' >/etc/hosts; echo 'nameserver 192.0.2.1' >/etc/resolv.conf")
    stage.host(f"kill -KILL {stage.pid('audio')}")


def _names(stage: Stage) -> None:
    stage.host("cat /run/hosts.before >/etc/hosts; cat /run/resolv.before >/etc/resolv.conf")


def _platform(up: bool, stage: Stage) -> None:
    stage.studio("/platform", {"up": up})


def _azuracast(up: bool, stage: Stage) -> None:
    stage.studio("/azuracast", {"up": up})


FAULTS = (
    Fault(
        "network-cut",
        "the network to one destination cut for 15 s: packets are dropped",
        partial(_rule, f"tcp dport {SECOND_PORT} drop"),
        _no_rule,
        hold=15,
        second_off_air=45,
        recovery=60,
        why="nothing gets through, and TCP tries again ever more seldom",
    ),
    Fault(
        "network-refused",
        "one destination hangs up and refuses connections, until the alert",
        _refuse,
        _no_rule,
        hold=15,
        alert="DestinationDown",
        second_off_air=200,
        recovery=40,
        why="there is nobody to send to; it is tried again every 10 s in the end",
    ),
    Fault(
        "network-throttled",
        "the network to one destination throttled to 1 Mb/s until the alert: a third of what it needs",
        _throttle,
        _no_throttle,
        hold=30,
        alert="DestinationSlow",
        second_off_air=60,
        recovery=60,
        why=_SLOW,
    ),
    Fault(
        "network-lossy",
        "5 % of the packets to one destination lost for 20 s",
        partial(_rule, f"tcp dport {SECOND_PORT} numgen random mod 100 '<' 5 drop"),
        _no_rule,
        hold=20,
        second_off_air=4,
        why=_SLOW,
    ),
    Fault(
        "network-delayed",
        "every packet to one destination 500 ms late for 20 s",
        _far,
        _near,
        prepare=_bring_far,
        hold=20,
        second_off_air=4,
        why=_SLOW,
    ),
    Fault(
        "mount-cut",
        "the network to AzuraCast's mount cut for 15 s: packets are dropped",
        partial(_rule, f"tcp dport {PORTS['icecast']} drop"),
        _no_rule,
        hold=15,
    ),
    Fault("dns-gone", "no name can be resolved while the mount has to be found anew", _no_names, _names, hold=12),
    Fault(
        "azuracast-gone",
        "AzuraCast's webhooks, event stream and API away, its sound goes on",
        partial(_azuracast, False),
        partial(_azuracast, True),
        hold=15,
    ),
    Fault(
        "platform-gone",
        "the platform itself away, for both destinations, until the alert",
        partial(_platform, False),
        partial(_platform, True),
        hold=15,
        alert="StationOffAir",
        off_air=150,
        lost=20000,
        recovery=60,
        why="there is nobody to send to",
    ),
)
