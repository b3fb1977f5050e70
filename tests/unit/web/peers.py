"""A playout (or an outputs' supervisor) that speaks the control socket's protocol and shows nothing."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4


class FakePeer:
    """Serves `path`. Switches come on the air at their time; a later one supersedes one that has not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.boot = uuid4().hex[:16]
        self.events: list[dict[str, Any]] = []
        self.switches: list[dict[str, Any]] = []
        self.warmed: list[str] = []
        self.told: list[dict[str, Any]] = []
        """What was asked for beside switches."""
        self.foretold: list[tuple[str, float]] = []
        self.missing: set[str] = set()
        """Loops that can't be shown: the default is shown in their place."""
        self.hold = False
        """Take switches, and bring none of them on the air."""
        self.on_air: dict[str, Any] = {"loop": "/srv/loops/default.mp4", "play_id": None, "reason": "default"}
        self.wanted: dict[str, Any] = {"loop": self.on_air["loop"], "default": None}
        self.names = {"publisher", "audio", "tube"}
        self.orders: list[tuple[str, str]] = []
        self.processes: list[dict[str, Any]] = []
        self.source = "mount"
        self.relay_key = "demo"
        self._changed = threading.Condition()
        self._pending: dict[str, Any] | None = None
        self._stopping = False
        self._connections: set[socket.socket] = set()
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                peer._serve(self)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        path.unlink(missing_ok=True)
        self._server = Server(str(path), Handler)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True),
            threading.Thread(target=self._air, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def publish(self, kind: str, **values: Any) -> dict[str, Any]:
        """An event, for those who follow now and later."""
        with self._changed:
            event = {"seq": len(self.events) + 1, "boot": self.boot, "at": time.time(), "kind": kind, **values}
            self.events.append(event)
            self._changed.notify_all()
        return event

    def close(self) -> None:
        """Die: every connection is closed and the socket is gone."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.path.unlink(missing_ok=True)

    def _serve(self, handler: socketserver.StreamRequestHandler) -> None:
        self._connections.add(handler.connection)
        try:
            for line in handler.rfile:
                message = json.loads(line)
                if message["op"] == "events":
                    self._follow(handler, message["after"])
                    return
                handler.wfile.write(json.dumps(self._answer(message)).encode() + b"\n")
        except OSError:
            return
        finally:
            self._connections.discard(handler.connection)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] == "switch":
            if not isinstance(message["loop"], str | None):
                return {"ok": False, "error": "loop is not a path"}
            with self._changed:
                old, self._pending = self._pending, message
                self.switches.append(message)
                self.wanted = {"loop": message["loop"] or "slate", "default": message["default"]}
                self._changed.notify_all()
            if old is not None and old.get("play_id"):
                self.publish("superseded", play_id=old["play_id"])
            return {"ok": True}
        if message["op"] == "hold":
            with self._changed:
                old, self._pending = self._pending, None
            if old is not None and old.get("play_id"):
                self.publish("superseded", play_id=old["play_id"])
            self.wanted = {"loop": self.on_air["loop"], "default": None}
            return {"ok": True, "loop": self.on_air["loop"]}
        if message["op"] in ("start", "stop", "restart"):
            if message["name"] not in self.names:
                return {"ok": False, "error": "there is no such thing"}
            self.orders.append((message["op"], message["name"]))
            return {"ok": True}
        if message["op"] == "warm":
            if "at" in message:
                self.foretold.append((message["loop"], message["at"]))
            else:
                self.warmed.append(message["loop"])
            self.told.append(message)
            return {"ok": True}
        if message["op"] == "card":
            self.told.append(message)
            return {"ok": True, "shown": True}
        pending = self._pending
        return {
            "ok": True,
            "station": "demo",
            "pid": 1,
            "boot": self.boot,
            "started_at": 0,
            "on_air": self.on_air,
            "wanted": self.wanted,
            "next": {"loop": pending["loop"], "play_id": pending.get("play_id")} if pending else None,
            "switches": len(self.switches),
            "audio": {"source": self.source, "level_seconds": 2.0, "rate_ppm": 0},
            "timeline": {"position_ms": 0, "flv_ms": 0, "relay_key": self.relay_key, "next_relay_key": None},
            "frames": {"video": 1, "audio": 1, "late_ticks": 0},
            "processes": self.processes,
        }

    def _follow(self, handler: socketserver.StreamRequestHandler, after: int) -> None:
        sent = after
        while True:
            with self._changed:
                while len(self.events) <= sent and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                lines = [json.dumps(event).encode() + b"\n" for event in self.events[sent:]]
                sent = len(self.events)
            handler.wfile.write(b"".join(lines))

    def _air(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                pending = self._pending
                if pending is None or self.hold:
                    self._changed.wait(0.05)
                    continue
                wait = (pending.get("at") or 0) - time.time()
                if wait > 0:
                    self._changed.wait(min(wait, 0.05))
                    continue
                self._pending = None
            self.show(pending)

    def show(self, order: dict[str, Any]) -> None:
        """Bring an order on the air."""
        loop, reason = order["loop"], "switch"
        if loop in self.missing:
            context = {"loop": loop, "play_id": order["play_id"]}
            self.publish("error", severity="ERROR", message="the loop is missing", context=context)
            loop, reason = order["default"], "default"
        if loop is None:
            loop = reason = "slate"
        self.on_air = {"loop": loop, "play_id": order["play_id"], "reason": reason, "since": time.time()}
        self.publish("on_air", play_id=order["play_id"], loop=loop, reason=reason, publisher_pid=4711)
