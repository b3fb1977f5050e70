"""An authority that gives certificates by ACME, as Let's Encrypt does: Pebble, its authors' own for tests."""

import json
import subprocess
from pathlib import Path

from tests.rig.child import Child, find_program
from tests.rig.net import LOOPBACK, accepts

PORT = 14000


class Authority:
    """It looks at a name's port 80. Its own HTTPS is trusted by whoever trusts `certificate`."""

    def __init__(self, place: Path, name: str) -> None:
        self.directory = f"https://{name}:{PORT}/dir"
        self.certificate = place / "authority.crt"
        key, config = place / "authority.key", place / "authority.json"
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                "-keyout", key, "-out", self.certificate,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        pebble = {
            "listenAddress": f"0.0.0.0:{PORT}",
            "managementListenAddress": f"{LOOPBACK}:15000",
            "certificate": str(self.certificate),
            "privateKey": str(key),
            "httpPort": 80,
            "tlsPort": 443,
        }
        config.write_text(json.dumps({"pebble": pebble}))
        # Without the pauses and the refusals by which it tries its clients' patience.
        env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        self._child = Child("authority", [find_program("pebble"), "-config", str(config)], run_dir=place, env=env)

    def start(self) -> None:
        """Return once it answers."""
        self._child.start_until(lambda: accepts(PORT), 20)

    def stop(self) -> None:
        """End it; what it has given stays as good as it was."""
        self._child.stop()
