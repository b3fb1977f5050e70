"""A certificate authority for one group of hosts, and what it signs."""

from pathlib import Path

from tests.hosts.shell import run


def authority(place: Path) -> Path:
    """The authority's certificate; made at first use, valid for a month."""
    certificate = place / "ca.crt"
    if not certificate.exists():
        run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "30", "-subj", "/CN=Steadycast test authority", "-keyout", place / "ca.key",
                "-out", certificate, "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            ]
        )  # fmt: skip
        (place / "ca.key").chmod(0o600)
    return certificate


def certificate(place: Path, name: str, address: str) -> tuple[Path, Path]:
    """A server's certificate and key, for its names and its address."""
    crt, key, csr = place / f"{name}.crt", place / f"{name}.key", place / f"{name}.csr"
    if not crt.exists():
        ca = authority(place)
        alternatives = f"subjectAltName=DNS:{name}.test,DNS:{name},IP:{address}"
        run(
            [
                "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}.test", "-addext", alternatives, "-keyout", key, "-out", csr,
            ]
        )  # fmt: skip
        run(
            [
                "openssl", "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", place / "ca.key", "-CAcreateserial",
                "-days", "30", "-copy_extensions", "copy", "-out", crt,
            ]
        )  # fmt: skip
        key.chmod(0o600)
        csr.unlink()
    return crt, key
