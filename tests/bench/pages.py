"""The operator's page: how soon it can be used, how soon it shows a switch, and what fifty of it cost the stream.

As a program it is the fifty pages: a client of its own process that asks as often as they do.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.measure import Meter, Usage
from tests.bench.outcome import Part, Table, quantile
from tests.bench.stage import AIR, TRACK_LOOPS, Groups, Stage, reader, show
from tests.rig.layout import PAGE_USERS
from tests.rig.net import RigError
from tests.rig.nginx import ROOT
from tests.rig.station import Station

PAGES = 50
_KB = 100.0
_USABLE = 1.0
_SHOWN = 2.0
_ANSWERED_MS = 250.0
_STREAM = tuple(group for group in AIR if group != "web")
# What a run of the same length differs by from one to the next, in percent of a core.
_NOTHING = 1.0
_WATCH = """
() => {
  window.seen = [];
  document.addEventListener("live", (event) => window.seen.push([event.detail.loop?.name, Date.now() / 1000]));
}
"""


def measure(stage: Stage) -> Part:
    """First loads, then switches, then fifty pages at once."""
    part = Part("The operator's page")
    with stage.station(switch_delay=0) as station:
        stage.say("pages: first loads and switches, in a real Chromium")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium")
            cookie = _sign_in(station)
            loads = [_load(chromium, station, cookie) for _ in range(int(stage.length(10, 3)))]
            delays = _switches(chromium, station, cookie, int(stage.length(20, 5)))
            chromium.close()
        seconds = stage.length(60, 10)
        stage.say(f"pages: {seconds:.0f} s without any, {seconds:.0f} s with {PAGES}")
        with reader(station) as seen:
            without, _ = _run(station, seconds, None)
            having, asked = _run(station, seconds, cookie)
            seen.stop()
            holes = seen.continuity()
    _report(part, loads, delays, without, having, asked, holes.missing)
    part.figures |= {"loads": loads, "switch_to_page_s": delays, "asked": asked, "stream": asdict(holes)}
    return part


def _sign_in(station: Station) -> str:
    """The cookie of an operator."""
    form = {"name": PAGE_USERS["operator"], "password": station.page_password()}
    opener = urllib.request.build_opener(_Stay)
    request = urllib.request.Request(f"{station.base_url}/login", urllib.parse.urlencode(form).encode())
    try:
        opener.open(request, timeout=10)
    except urllib.error.HTTPError as answer:
        found = re.match(r"steadycast=([^;]+)", answer.headers.get("Set-Cookie", ""))
        if found:
            return found[1]
    raise RigError("the page let nobody in")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: the cookie is in this very answer."""


def _open(chromium: Browser, station: Station, cookie: str) -> Page:
    context = chromium.new_context(base_url=station.base_url)
    context.add_cookies([{"name": "steadycast", "value": cookie, "url": station.base_url}])
    return context.new_page()


def _load(chromium: Browser, station: Station, cookie: str) -> dict[str, float]:
    """A first load, nothing of it kept from before: bytes over the wire, and seconds until it is live."""
    page = _open(chromium, station, cookie)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    kinds: dict[str, str] = {}
    wire: dict[str, float] = {}
    session.on("Network.responseReceived", lambda told: kinds.update({told["requestId"]: told["type"]}))
    session.on("Network.loadingFinished", lambda told: wire.update({told["requestId"]: told["encodedDataLength"]}))
    page.add_init_script('document.addEventListener("live", () => { window.usable ??= performance.now(); });')
    page.goto("/")
    page.wait_for_function("window.usable !== undefined")
    usable = float(page.evaluate("window.usable")) / 1000
    kb = sum(size for number, size in wire.items() if kinds.get(number) not in ("Image", "Media")) / 1024
    page.context.close()
    return {"kb": kb, "usable_s": usable, "requests": len(wire)}


def _switches(chromium: Browser, station: Station, cookie: str, count: int) -> list[float]:
    """Seconds from a switch on the air until the page shows it."""
    page = _open(chromium, station, cookie)
    page.goto("/")
    page.evaluate(_WATCH)
    found = []
    for number, loop in enumerate(islice(cycle(TRACK_LOOPS), count)):
        # No rhythm that could fall in with that of the page.
        page.wait_for_timeout(300 + number * 137 % 1000)
        page.evaluate("window.seen = []")
        show(station, loop)
        page.wait_for_function("(loop) => window.seen.some(([name]) => name === loop)", arg=f"{loop}.mp4")
        at = next(at for name, at in page.evaluate("window.seen") if name == f"{loop}.mp4")
        found.append(float(at) - float(station.status()["on_air"]["since"]))
    page.context.close()
    return found


def _run(station: Station, seconds: float, cookie: str | None) -> tuple[Usage, dict[str, Any]]:
    """What everything costs for so long; with a cookie, while the pages of its owner are open."""
    client = None
    if cookie is not None:
        argv = [sys.executable, "-m", "tests.bench.pages", station.base_url, "--seconds", str(seconds + 3)]
        client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert client.stdin is not None
        client.stdin.write(cookie)
        client.stdin.close()
        time.sleep(2)  # Python begins
    try:
        usage = Meter(Groups(station), {"all": AIR}).run(seconds)
    finally:
        said = client.stdout.read() if client is not None and client.stdout is not None else "{}"
        if client is not None and client.wait(30) != 0:
            raise RigError("the pages' client failed")
    asked: dict[str, Any] = json.loads(said)
    return usage, asked


def _report(
    part: Part, loads: Sequence[dict[str, float]], delays: Sequence[float], without: Usage, having: Usage,
    asked: dict[str, Any], missing: int,
) -> None:  # fmt: skip
    part.at_most("Page: first load besides pictures", max(load["kb"] for load in loads), _KB, " KB", 1)
    part.at_most("Page: from asking for it until it is live, slowest", max(load["usable_s"] for load in loads),
                 _USABLE, " s", 2)  # fmt: skip
    part.at_most("Page: from a switch on the air until it is shown, slowest", max(delays), _SHOWN, " s", 2)
    part.exactly(f"{PAGES} pages: frames missing at the platform", missing, 0)
    part.exactly(f"{PAGES} pages: asked, and not answered", asked["failed"], 0)
    part.at_most(f"{PAGES} pages: p99 of what they ask each second", asked["p99_ms"], _ANSWERED_MS, " ms", 1)
    more = having.cpu_of(_STREAM) - without.cpu_of(_STREAM)
    part.at_most(f"{PAGES} pages: CPU of what carries the stream, more than without", more, _NOTHING,
                 " % of a core", 2)  # fmt: skip
    rows = [
        [group, f"{without.cpu_of([group]):.2f} %", f"{having.cpu_of([group]):.2f} %",
         f"{without.pss_of([group]):.0f} MB", f"{having.pss_of([group]):.0f} MB"]
        for group in AIR
    ]  # fmt: skip
    part.tables.append(Table([f"{PAGES} pages open", "CPU without", "with", "PSS without", "with"], rows))
    part.tables.append(
        Table(
            ["The page", "samples", "p50", "p95", "max"],
            [
                _row("first load to live", [load["usable_s"] for load in loads]),
                _row("switch on the air to page", delays),
            ],
        )
    )
    part.notes.append(
        f"A first load is one by a Chromium that has nothing of the page: {loads[0]['requests']:.0f} requests on "
        "loopback, on the same cores as the station. It is live with the first answer to what it asks every second. "
        f"The {PAGES} pages are clients that ask the same as often, {asked['requests']} times in all, and are told "
        f"{asked['unchanged']} times that nothing has changed."
    )


def _row(what: str, seconds: Sequence[float]) -> list[str]:
    shown = (quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds))
    return [what, str(len(seconds)), *(f"{one:.2f} s" for one in shown)]


# --- the client ---------------------------------------------------------------------------------------------


async def _page(
    address: tuple[str, int], cookie: str, begin: float, seconds: float, found: list[tuple[int, float]]
) -> None:
    """One open page: status and seconds of each answer go into `found`."""
    connection = None
    tag = ""
    await asyncio.sleep(begin)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        inward, outward = connection or await asyncio.open_connection(*address)
        head = f"GET /live?station=demo HTTP/1.1\r\nHost: {address[0]}\r\nCookie: steadycast={cookie}\r\n"
        outward.write((head + (f"If-None-Match: {tag}\r\n" if tag else "") + "\r\n").encode())
        answer = (await inward.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(answer.split(" ", 2)[1])
        if status != 304:
            length = re.search(r"^content-length: (\d+)", answer, re.MULTILINE)
            await inward.readexactly(int(length[1]) if length else 0)
        if match := re.search(r"^etag: (\S+)", answer, re.MULTILINE):
            tag = match[1]
        found.append((status, time.monotonic() - began))
        connection = (inward, outward)
        if "connection: close" in answer:  # as with every 304 of Waitress
            outward.close()
            connection = None
        await asyncio.sleep(max(0.0, began + 1.0 - time.monotonic()))


async def _pages(url: str, cookie: str, seconds: float) -> dict[str, Any]:
    parts = urllib.parse.urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 80))
    found: list[tuple[int, float]] = []
    await asyncio.gather(*(_page(address, cookie, number / PAGES, seconds, found) for number in range(PAGES)))
    return {
        "requests": len(found),
        "failed": sum(status not in (200, 304) for status, _ in found),
        "unchanged": sum(status == 304 for status, _ in found),
        "p50_ms": quantile([took for _, took in found], 0.5) * 1000,
        "p99_ms": quantile([took for _, took in found], 0.99) * 1000,
    }


def main() -> None:
    """Be the pages, with the cookie from standard input; the figures come as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_pages(options.url, sys.stdin.read().strip(), options.seconds))))


if __name__ == "__main__":
    main()
