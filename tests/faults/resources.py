"""Disks that are full, memory that ends, clocks that are wrong."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault, Unavailable
from tests.faults.stage import Stage
from tests.rig.net import wait_until

# --- disks: each a small file system of its own, so that this machine's stays as it is -----------------------------

_LOGS, _CACHE, _DATABASE = "/var/log/radio", "/var/lib/radio/library", "/var/lib/postgresql"


# What is stopped and what is started: systemctl waits for the units that it is told of, not for those that follow.
_RADIO = ("radio.target 'radio-[wpomr]*'", "radio.target")
_POSTGRESQL = ("postgresql 'postgresql@*'", "postgresql")


def _small(place: str, services: tuple[str, str], stage: Stage) -> None:
    """Put what is in a directory onto a file system with 16 MB left, with the services away meanwhile."""
    stop, start = services
    stage.host(
        f"systemctl stop {stop}\n"
        f"used=$(du -sk {place} | cut -f1)\n"
        "mkdir -p /run/small\n"
        "mount -t tmpfs none /run/small -o size=$((used + used / 8 + 16384))k,"
        f"mode=$(stat -c %a {place}),uid=$(stat -c %u {place}),gid=$(stat -c %g {place})\n"
        f"cp -a {place}/. /run/small/\n"
        f"mount --bind /run/small {place}\n"
        "umount /run/small\n"
        f"systemctl start {start}"
    )
    stage.wait_well()


def _as_before(place: str, services: tuple[str, str], stage: Stage) -> None:
    """Bring what was written back to the real file system."""
    stop, start = services
    stage.host(
        f"systemctl stop {stop}\n"
        "mkdir -p /run/real\n"
        f"mount --bind $(dirname {place}) /run/real\n"
        f"cp -a {place}/. /run/real/$(basename {place})/ || true\n"
        "umount /run/real\n"
        f"umount --lazy {place} || true\n"
        f"systemctl start {start}"
    )
    stage.wait_well()


def _fill(place: str, stage: Stage) -> None:
    """Make it as small as what is in it. A file that filled it would be swept away where nobody knows its name."""
    stage.host(
        f"mountpoint -q {place}\n"
        # Refused where more was written meanwhile.
        "for try in 1 2 3 4 5 6 7 8 9; do\n"
        f"mount -o remount,size=$(df --block-size=1k --output=used {place} | tail -1)k {place} && break; sleep 0.1\n"
        "done\n"
        f"df {place} >&2\n"
        # A page may be left. With more of them there would be no fault.
        f"test $(df --block-size=1k --output=avail {place} | tail -1) -lt 16"
    )


def _empty(place: str, stage: Stage) -> None:
    stage.host(f"mount -o remount,size=200m {place}")


def _fill_cache(stage: Stage) -> None:
    _fill(_CACHE, stage)
    # A loop that nobody can prepare now.
    stage.host("cp /srv/loops/lagoon.mp4 /srv/loops/unprepared.mp4")


def _empty_cache(stage: Stage) -> None:
    _empty(_CACHE, stage)
    stage.host("rm -f /srv/loops/unprepared.mp4")


def _fill_database(stage: Stage) -> None:
    """Until a write has failed: what it has of its log, PostgreSQL uses again, and goes on for long."""
    _fill(_DATABASE, stage)
    stage.host(
        "for segment in $(seq 100); do\n"
        "psql -qX -U postgres -c \"SELECT pg_logical_emit_message(true, 'full', 'x'), pg_switch_wal()\" || exit 0\n"
        "done\nexit 1"
    )


def disk(name: str, what: str, place: str, services: tuple[str, str], **more: object) -> Fault:
    """The file system of one directory has no room."""
    given: dict[str, object] = {
        "do": partial(_fill, place), "undo": partial(_empty, place), "hold": 15, "recovery": 60,
        "prepare": partial(_small, place, services), "cleanup": partial(_as_before, place, services),
    }  # fmt: skip
    # mypy can't know that these are a Fault's fields.
    return Fault(name, what, **(given | more))  # type: ignore[arg-type]


# --- memory: the kernel's own killer, at a limit that the rest of the machine does not feel ------------------------

_MEMORY = Path("/sys/fs/cgroup/memory")


def _limit(kbytes: int, pid: int, stage: Stage) -> Path:
    """Move a process of the host into a group of this machine's that may take so much more, and what it starts."""
    if not _MEMORY.is_dir():
        raise Unavailable("no memory controller is to be had outside the host: a limit would have to be set in it")
    group = _MEMORY / f"steadycast-{stage.group.podman.id}"
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(kbytes * 1024))
    (group / "cgroup.procs").write_text(str(stage.process_id(pid)))
    return group


def _main_pid(unit: str, stage: Stage) -> int:
    return int(stage.host(f"systemctl show --property=MainPID --value {unit}"))


def _killed(group: Path) -> int:
    lines = (group / "memory.oom_control").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _web_without_memory(stage: Stage) -> None:
    group = _limit(4, _main_pid("radio-web", stage), stage)
    deadline = time.monotonic() + 20
    while not _killed(group):
        stage.host(
            "head -c 60000 /dev/zero | tr '\\0' x >/run/large\n"
            "for n in $(seq 24); do curl -s -m 3 -o /dev/null --data-binary @/run/large "
            "http://127.0.0.1:9000/webhook/azuracast & done; wait",
            check=False,
        )
        if time.monotonic() > deadline:
            raise Unavailable("radio-web did not want more memory than it had, so nothing was killed")


def _prepare_without_memory(stage: Stage) -> None:
    """The encoder of a new loop inherits the limit of its parent."""
    group = _limit(40_000, _main_pid("radio-prepare", stage), stage)
    stage.host(
        "cp /srv/loops/lagoon.mp4 /run/u.mp4; head -c 100 /dev/urandom >>/run/u.mp4\n"
        "mv /run/u.mp4 /srv/loops/large.mp4"
    )
    wait_until(lambda: _killed(group), "the kernel killing the encoder", 40, every=0.3)


def _free(stage: Stage) -> None:
    """Room again for who is still there, and nobody in the group."""
    group = _MEMORY / f"steadycast-{stage.group.podman.id}"
    (group / "memory.limit_in_bytes").write_text("-1")
    for pid in (group / "cgroup.procs").read_text().split():
        (_MEMORY / "cgroup.procs").write_text(pid)
    group.rmdir()
    stage.host("rm -f /srv/loops/large.mp4 /run/large")


# --- clocks: libfaketime under our services, for a container shares its machine's clock, which is never set --------

_FAKED = ("radio-web", "radio-prepare", "radio-monitor", "radio-relay", "radio-playout@", "radio-output@")


def _put_clock(stage: Stage) -> None:
    stage.host("mkdir -p /run/faketime")
    stage.put(Path(__file__).with_name("sitecustomize.py"), "/run/faketime/sitecustomize.py", "0644")
    dropins = "\n".join(
        f"mkdir -p /run/systemd/system/{unit}.service.d && cp /run/clock.conf /run/systemd/system/{unit}.service.d/"
        for unit in _FAKED
    )
    stage.host(
        "export DEBIAN_FRONTEND=noninteractive\n"
        "dpkg -s libfaketime >/dev/null 2>&1 ||\n"
        "  apt-get -qq install -y --no-install-recommends libfaketime >/dev/null\n"
        "library=$(dpkg -L libfaketime | grep 'libfaketimeMT.so.1$')\n"
        "echo +0 >/run/clock\n"
        'printf "[Service]\\nEnvironment=LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=/run/clock '
        'FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 PYTHONPATH=/run/faketime\\n" >/run/clock.conf\n'
        f"{dropins}\nsystemctl daemon-reload && systemctl restart radio.target",
        seconds=240,
    )
    stage.wait_well()


def _take_clock(stage: Stage) -> None:
    gone = " ".join(f"/run/systemd/system/{unit}.service.d/clock.conf" for unit in _FAKED)
    stage.host(f"rm -f {gone}; systemctl daemon-reload && systemctl restart radio.target")
    stage.wait_well()


def _clock(offset: int, stage: Stage) -> None:
    """Set it, and see that radio-web goes by it: an answer says when it was given."""
    stage.host(
        f"echo {offset:+} >/run/clock\n"
        "for try in $(seq 50); do\n"
        "answered=$(curl -sI http://127.0.0.1:9000/health | sed -n 's/^[Dd]ate: //p' | tr -d '\\r')\n"
        'off=$(($(date -d "$answered" +%s) - $(date +%s)))\n'
        f"test $((off - {offset})) -ge -10 -a $((off - {offset})) -le 10 && exit 0\n"
        "sleep 0.1\ndone\nexit 1"
    )


FAULTS = (
    disk("logs-full", "no room under the logs for 15 s", _LOGS, _RADIO),
    disk(
        "cache-full",
        "no room under the prepared loops, and a new loop to prepare, until the alert",
        _CACHE,
        _RADIO,
        do=_fill_cache,
        undo=_empty_cache,
        alert="DiskFull",
    ),
    disk(
        "database-full",
        "no room under the database until the alert: PostgreSQL can't write its log, and ends",
        _DATABASE,
        _POSTGRESQL,
        do=_fill_database,
        alert="DiskFull",
    ),
    Fault(
        "web-memory",
        "radio-web reaches its memory limit: the kernel's OOM killer ends it",
        _web_without_memory,
        _free,
        plays_lost=1,
        why="the load that makes it want memory is refused webhooks, and AzuraCast's are among them",
    ),
    Fault(
        "prepare-memory",
        "the encoder of a loop reaches its memory limit: the kernel's OOM killer ends it",
        _prepare_without_memory,
        _free,
    ),
    Fault(
        "clock-ahead",
        "the clock of all our services an hour ahead for 20 s, then right again",
        partial(_clock, 3600),
        partial(_clock, 0),
        _put_clock,
        _take_clock,
        hold=20,
    ),
    Fault(
        "clock-behind",
        "the clock of all our services an hour behind for 20 s, then right again",
        partial(_clock, -3600),
        partial(_clock, 0),
        _put_clock,
        _take_clock,
        hold=20,
    ),
)
