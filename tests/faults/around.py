"""The database, the certificate, the configuration, and the power."""

from __future__ import annotations

from functools import partial

from tests.faults.fault import Fault
from tests.faults.stage import Stage
from tests.hosts.demo import NAME
from tests.hosts.shell import run

# --- the database -----------------------------------------------------------------------------------------------

_SLOW = """
CREATE FUNCTION faults_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NEW; END';
CREATE TRIGGER faults_slow BEFORE INSERT OR UPDATE ON play_history FOR EACH ROW EXECUTE FUNCTION faults_slow();
"""
_FAST = "DROP TRIGGER faults_slow ON play_history; DROP FUNCTION faults_slow();"
_POSTGRES = "$(systemctl list-units --plain --no-legend 'postgresql@*' | cut -d' ' -f1)"


def _sql(text: str, stage: Stage) -> None:
    stage.host(f"psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 -U postgres radio <<'SQL'\n{text}\nSQL")


def _database(verb: str, stage: Stage) -> None:
    stage.host(f"systemctl {verb} postgresql")


def _kill_database(stage: Stage) -> None:
    """Everything of it at once."""
    stage.host(f"systemctl kill --kill-whom=all --signal=KILL {_POSTGRES}")


def _freeze_database(stage: Stage) -> None:
    stage.host(f"systemctl kill --kill-whom=all --signal=STOP {_POSTGRES}")


def _thaw_database(stage: Stage) -> None:
    stage.host(f"systemctl kill --kill-whom=all --signal=CONT {_POSTGRES}")


def _back_up(stage: Stage) -> None:
    stage.playbook("backup", "-e", f"backup_directory={stage.group.place}/backups")


def _restore(stage: Stage) -> None:
    stage.playbook(
        "restore", "-e", f"restore_from={stage.group.place}/backups/{NAME}/latest", "-e", "restore_force=true"
    )


# --- the certificate, the configuration ---------------------------------------------------------------------------

_TLS = "/etc/nginx/radio-tls/current"
_FIGURE = "/var/lib/prometheus/node-exporter/radio_tls.prom"


def _expire(stage: Stage) -> None:
    """What its owner would have on the day after: the same key, the same authority, and an end that was yesterday."""
    place = stage.group.place
    old, request = place / "expired.crt", place / "expired.csr"
    run(
        [
            "openssl", "req", "-new", "-key", place / f"{NAME}.key", "-subj", f"/CN={NAME}.test",
            "-addext", f"subjectAltName=DNS:{NAME}.test", "-out", request,
        ]
    )  # fmt: skip
    run(
        [
            "openssl", "x509", "-req", "-in", request, "-CA", place / "ca.crt", "-CAkey", place / "ca.key",
            "-CAcreateserial", "-days", "-1", "-copy_extensions", "copy", "-out", old,
        ]
    )  # fmt: skip
    stage.put(old, "/run/expired.pem", "0600")
    stage.host(
        f"mkdir -p /run/tls && cp -a {_TLS}/. /run/tls/ && cp {_FIGURE} /run/tls.prom\n"
        f"cat /run/expired.pem >{_TLS}/certificate.pem\n"
        f'sed -i "s/ [0-9.e+]*$/ $(($(date +%s) - 86400))/" {_FIGURE}\n'
        # Connections from before the end go on; new ones are what counts.
        "systemctl restart nginx"
    )


def _renew(stage: Stage) -> None:
    stage.host(f"cp -a /run/tls/. {_TLS}/ && cp /run/tls.prom {_FIGURE} && systemctl restart nginx && rm -r /run/tls")


def _break_configuration(stage: Stage) -> None:
    stage.host(
        "file=$(readlink -f /etc/radio/radio.yml); cp -p $file /run/radio.yml.before\n"
        "echo '  broken: [' >>$file; systemctl restart --no-block radio-web"
    )


def _mend_configuration(stage: Stage) -> None:
    stage.host("cat /run/radio.yml.before >$(readlink -f /etc/radio/radio.yml)")


# --- the power ----------------------------------------------------------------------------------------------------


def _cut_power(stage: Stage) -> None:
    stage.cut_power()
    stage.connect_again()


FAULTS = (
    Fault(
        "database-killed",
        "PostgreSQL killed, with all its processes",
        _kill_database,
        hold=10,
        recovery=60,
    ),
    Fault("database-restarted", "PostgreSQL restarted", partial(_database, "restart"), recovery=60),
    Fault(
        "database-stopped",
        "PostgreSQL stopped until the alert",
        partial(_database, "stop"),
        partial(_database, "start"),
        hold=15,
        alert="DatabaseAway",
        recovery=60,
    ),
    Fault(
        "database-hung",
        "PostgreSQL stopped with SIGSTOP for 20 s: it accepts and never answers",
        _freeze_database,
        _thaw_database,
        hold=20,
        recovery=60,
    ),
    Fault(
        "database-slow",
        "every write of a play takes 2 s, for 20 s",
        partial(_sql, _SLOW),
        partial(_sql, _FAST),
        hold=20,
        recovery=60,
    ),
    Fault(
        "database-restored",
        "the database put back to an earlier backup, by playbooks/restore.yml",
        _restore,
        prepare=_back_up,
        hold=2,
        recovery=90,
    ),
    Fault(
        "certificate-expired",
        "the certificate has ended: AzuraCast sends no webhook any more, until the alert",
        _expire,
        _renew,
        hold=15,
        alert="CertificateLastDays",
    ),
    Fault(
        "configuration-broken",
        "radio.yml broken and radio-web restarted; mended after the alert",
        _break_configuration,
        _mend_configuration,
        hold=15,
        alert="WebServiceDown",
        plays_lost=1,
        why="a play that began and was over while radio-web was down may have been told to nobody",
    ),
    Fault(
        "power-cut",
        "SIGKILL to everything on the host at once, then it boots",
        _cut_power,
        hold=5,
        off_air=60,
        lost=5000,
        recovery=120,
        plays_lost=1,
        why="the host itself is away",
    ),
)
