"""AzuraCast's web hook API, as its sources have it (routes, permissions, what a list and an answer look like)."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "0123456789abcdef:0123456789abcdef0123456789abcdef"
_FIELDS = ("name", "is_enabled", "triggers", "config")


class FakeAzuraCast:
    """Serves one station. `webhooks` is what it keeps, `requests` the method and path of everything asked."""

    def __init__(self, shortcode: str = "demo") -> None:
        self.shortcode = shortcode
        self.webhooks: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                fake.requests.append((self.command, self.path))
                status, document = fake.handle(self.command, self.path, self.headers.get("X-API-Key"), body)
                payload = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, **fields: Any) -> dict[str, Any]:
        """A webhook that somebody has made before."""
        webhook = {
            "id": len(self.webhooks) + 1, "name": None, "type": "generic", "is_enabled": True,
            "triggers": None, "config": None, "metadata": None, **fields,
        }  # fmt: skip
        self.webhooks.append(webhook)
        return webhook

    def handle(self, method: str, path: str, key: str | None, body: Any) -> tuple[int, Any]:
        """Status and document."""
        match = re.fullmatch(r"/api/station/([^/]+)/(webhooks|webhook/(\d+))", path)
        if not match:
            return _error(404, "HttpNotFoundException", "Page not found.")
        # The station is looked for before it is asked who asks.
        if match[1] not in (self.shortcode, "1"):
            return _error(404, "NotFoundException", "Station not found.")
        if key != KEY:
            return _error(403, "NotLoggedInException", "You must be logged in to access this page.")
        if match[2] == "webhooks":
            if method == "GET":
                # Without rowCount a list comes whole, without pages, and by name.
                return 200, [self._view(one) for one in sorted(self.webhooks, key=lambda one: one["name"] or "")]
            if not body.get("type"):
                return _error(
                    400, "ValidationException", "Object(App\\Entity\\StationWebhook).type: should not be blank."
                )
            made = self.add(type=body["type"], **{name: body[name] for name in _FIELDS if name in body})
            return 200, self._view(made)
        found = next((one for one in self.webhooks if one["id"] == int(match[3])), None)
        if found is None:
            return _error(404, "Error", "Record not found")
        if method == "PUT":
            found.update({name: body[name] for name in _FIELDS if name in body})
            message = "Record updated successfully."
            return 200, {"success": True, "message": message, "formatted_message": message}
        return 200, self._view(found)

    def _view(self, webhook: dict[str, Any]) -> dict[str, Any]:
        this = f"{self.url}/api/station/1/webhook/{webhook['id']}"
        return {**webhook, "links": {"self": this, "toggle": f"{this}/toggle", "test": f"{this}/test"}}


def _error(code: int, kind: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {
        "code": code, "type": kind, "message": message, "formatted_message": message, "extra_data": [],
        "success": False,
    }  # fmt: skip
