# SPDX-License-Identifier: Apache-2.0
"""A proxy between the uplink and a store that fails on purpose: a thread with an event loop of its own, on loopback alone.

A rule is a dictionary. `phase` says which requests it meets (see s3_phase(), or what was given instead), `where` what their target
must contain (default: no matter), `method` which method (default: any), `times` how many of them (default 1; None: all), and
`action` what happens:

  status        answers with `status` and `code`, and `headers`, without asking the store
  reset         resets the connection after `after` bytes of the request's body (default: at once)
  lost          lets the store do it, and resets the connection instead of answering
  stall         takes nothing more after `after` bytes of the body, and answers nothing
  mute          lets the store do it, and never answers
  late          lets the store do it, and hands its answer on after `seconds`
  corrupt       changes one byte of the request's body
  delay         waits `seconds` before the store is asked
  held          waits until go_on() before the store is asked
  meet          waits until `of` requests that met this rule are here: a race in which nobody is first by chance (with times: None)
  truncate      resets the connection in the middle of the answer's body
  pretend       answers 200 with an etag, and the store never hears of it
  invent        answers what `invent(headers)` of the request's headers returns, (status, headers, body); the store never hears of it
  answer        changes the store's answer by `change(status, headers, body)`, which returns the same three

`bandwidth` of the proxy, in bytes a second, holds for each connection's requests. What is to be met in the middle is stopped there by
stop_at(), until go_on(): however late whoever comes to meet it. `log` has (phase, method, path, status or None) of
each request, `body_bytes` how many bytes of bodies came in by phase, and `seen` all their headers.

A `judge` makes another store of the one behind the proxy: judge(headers, body) is asked about each request that the rules let pass, with
the body as it would be forwarded (after `corrupt`), and returns None, or the (status, code) with which it is refused before the store
hears of it; `refused` counts these by phase. check_digests() is the judge of a store that checks what the headers say of the body.
"""

import asyncio
import base64
import collections
import hashlib
import socket
import struct
import threading
import urllib.parse

CHUNK = 1 << 18
ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>on purpose</Message></Error>'


def s3_phase(method, target, headers):
    del headers
    path, _, query = target.partition("?")
    names = {name for name, _ in urllib.parse.parse_qsl(query, keep_blank_values=True)}
    if "/probe/" in path:
        return "probe"
    if "uploads" in names:
        return "create" if method == "POST" else "uploads"
    if "partNumber" in names:
        return "part"
    if "uploadId" in names:
        return {"GET": "list", "POST": "complete", "DELETE": "abort"}[method]
    if "retention" in names or "legal-hold" in names:
        return "lock"
    kind = "object" if "/objects/" in path else "manifest" if "/manifests/" in path else "bucket"
    return {"PUT": kind, "GET": "read" if kind == "object" else "look", "HEAD": "head", "DELETE": "delete"}[method]


def unchunk(data):
    whole = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        whole, data = whole + rest[: int(size, 16)], rest[int(size, 16) + 2:]
    return whole


DIGESTS = {"x-amz-checksum-sha256": "sha256", "content-md5": "md5"}


def check_digests(headers, body, known=tuple(DIGESTS)):
    """A store that checks the headers of these that it knows, where they are."""
    for name, algorithm in DIGESTS.items():
        if name in known and name in headers and headers[name] != base64.b64encode(hashlib.new(algorithm, body).digest()).decode():
            return 400, "BadDigest"
    return None


class Closed(Exception):
    pass


class Kept:
    """Takes a body as a connection would, and keeps it."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    async def drain(self):
        pass


def reset(writer):
    """Ends a connection so that the other side sees a reset, not an end."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise Closed


class FaultProxy:
    def __init__(self, upstream_port, tls=None, receive_buffer=None, phase_of=s3_phase, judge=None):
        """A small receive buffer makes that the sender feels the bandwidth."""
        self.upstream_port = upstream_port
        self.phase_of = phase_of
        self.judge = judge
        self.tls = tls
        self.rules = []
        self.bandwidth = None
        self.stops = None  # (phase, bytes)
        self.held_up = []
        self.muted = 0  # answers that are held back
        self.taking = 0  # bodies that are being taken; of one that its sender gave up, what was on its way still comes
        self.log, self.seen = [], []
        self.body_bytes, self.refused = collections.Counter(), collections.Counter()
        self.resets = 0
        self.on_body = None  # (phase, total bytes) -> None, in the proxy's thread
        self.loop = asyncio.new_event_loop()
        self.buffer = receive_buffer or 1 << 20
        self.listening = socket.socket()
        if receive_buffer:
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listening.bind(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.listening, limit=self.buffer, ssl=self.tls))
        ready.set()
        self.loop.run_forever()

    def close(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            self.loop.call_soon(self.loop.stop)

        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join()

    def reset(self, *rules):
        """New rules; what was counted is forgotten, and what is left of requests that began before is not counted any more: a connection
        that its client left may have megabytes in its buffers."""
        self.rules = [dict(rule) for rule in rules]
        self.muted = 0
        self.log, self.seen = [], []
        self.body_bytes, self.refused = collections.Counter(), collections.Counter()
        self.resets += 1
        self.bandwidth = self.on_body = None
        self.go_on()

    def stop_at(self, phase, bytes_):
        """Once so many bytes of bodies of that phase have come, nothing more of such bodies is taken."""
        self.stops = (phase, bytes_)

    def go_on(self):
        """Ends what stop_at() and the action `held` hold up."""
        self.stops = None
        self.loop.call_soon_threadsafe(self._let_go)

    def count(self, phase):
        return sum(1 for entry in self.log if entry[0] == phase)

    # ---- in the thread

    def _let_go(self):
        for event in self.held_up:
            event.set()
        self.held_up.clear()

    async def _hold_up(self):
        event = asyncio.Event()
        self.held_up.append(event)
        await event.wait()

    def _rule_for(self, phase, method, target):
        for rule in self.rules:
            if rule.get("method", method) != method:
                continue
            if rule["phase"] == phase and rule.get("where", "") in target and rule.get("times", 1) != 0:
                if rule.get("times", 1) is not None:
                    rule["times"] = rule.get("times", 1) - 1
                return rule
        return {"action": None}

    async def _serve(self, reader, writer):
        try:
            while await self._request(reader, writer):
                pass
        except (Closed, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _request(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        phase, length = self.phase_of(method, target, headers), int(headers.get("content-length", 0))
        rule = self._rule_for(phase, method, target)
        self.seen.append((phase, headers))
        entry = [phase, method, target, None]
        self.log.append(entry)
        if rule["action"] in ("status", "pretend", "invent"):
            await self._body(reader, writer, phase, length, rule, None)
            entry[3] = await self._invent(writer, method, headers, rule)
            return True
        if rule["action"] == "reset" and rule.get("after", 0) == 0:
            reset(writer)
        if rule["action"] == "delay":
            await asyncio.sleep(rule["seconds"])
        if rule["action"] == "held":
            await self._hold_up()
        if rule["action"] == "meet":
            await self._meet(rule)
        body = None
        if self.judge:
            kept = Kept()
            await self._body(reader, writer, phase, length, rule, kept)
            body, refusal = kept.data, self.judge(headers, kept.data)
            if refusal:
                self.refused[phase] += 1
                entry[3] = await self._invent(writer, method, headers, {"action": "status", "status": refusal[0], "code": refusal[1]})
                return True
        entry[3] = await self._forward(reader, writer, lines, phase, method, length, rule, body)
        return True

    async def _meet(self, rule):
        rule.setdefault("here", 0)
        everybody = rule.setdefault("everybody", asyncio.Event())
        rule["here"] += 1
        if rule["here"] >= rule["of"]:
            everybody.set()
        await everybody.wait()

    async def _body(self, *request):
        """Takes the body of a request, and hands it on; the same connection may be ended amid it."""
        self.taking += 1
        try:
            await self._take(*request)
        finally:
            self.taking -= 1

    async def _take(self, reader, writer, phase, length, rule, to):
        done, resets = 0, self.resets
        while done < length:
            data = await reader.read(min(CHUNK, length - done))
            if not data:
                raise Closed
            if self.bandwidth:
                await asyncio.sleep(len(data) / self.bandwidth)
            if rule["action"] == "corrupt" and done == 0:
                data = bytes([data[0] ^ 1]) + data[1:]
            done += len(data)
            if resets == self.resets:
                self.body_bytes[phase] += len(data)
            if self.on_body and resets == self.resets:
                self.on_body(phase, self.body_bytes[phase])
            if rule["action"] == "reset" and done >= rule.get("after", 0):
                reset(writer)
            if rule["action"] == "stall" and done >= rule.get("after", 0):
                await asyncio.sleep(3600)
            if to:
                to.write(data)
                await to.drain()
            if self.stops and self.stops[0] == phase and self.body_bytes[phase] >= self.stops[1]:
                await self._hold_up()
        if rule["action"] == "stall":
            await asyncio.sleep(3600)

    async def _invent(self, writer, method, asked, rule):
        if rule["action"] == "invent":
            status, headers, body = rule["invent"](asked)
        elif rule["action"] == "pretend":
            status, body = 200, b""
            headers = {"ETag": '"00000000000000000000000000000000"', **rule.get("headers", {})}
        else:
            status, headers = rule["status"], rule.get("headers", {})
            body = b"" if method == "HEAD" else ERROR.format(rule["code"]).encode() if rule.get("code") else b""
        lines = [f"HTTP/1.1 {status} On Purpose", f"Content-Length: {len(body)}"] + [f"{n}: {v}" for n, v in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        return status

    async def _forward(self, reader, writer, lines, phase, method, length, rule, body):
        """The body is what was taken already, or None: then it is handed on as it comes."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port, limit=1 << 20)
        try:
            # One connection for each request, so that the end of the answer is the end of the connection.
            up_writer.write("\r\n".join(lines + ["Connection: close"]).encode("latin-1") + b"\r\n\r\n")
            if body is None:
                await self._body(reader, writer, phase, length, rule, up_writer)
            else:
                up_writer.write(body)
                await up_writer.drain()
            head = (await up_reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            status = int(head[0].split(" ")[1])
            head = [line for line in head if not line.lower().startswith(("connection:", "keep-alive:"))]
            if rule["action"] == "answer":
                status, head, body = await self._change(up_reader, head, status, method, rule)
                writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
                await writer.drain()
                return status
            if rule["action"] in ("lost", "mute"):
                while await up_reader.read(CHUNK):
                    pass
                if rule["action"] == "mute":
                    self.muted += 1
                    await asyncio.sleep(3600)
                reset(writer)
            if rule["action"] == "late":
                await asyncio.sleep(rule["seconds"])
            writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n")
            await self._answer(up_reader, writer, rule)
            return status
        finally:
            up_writer.close()

    async def _answer(self, up_reader, writer, rule):
        while data := await up_reader.read(CHUNK):
            if rule["action"] == "truncate":
                writer.write(data[: len(data) // 2])
                await writer.drain()
                reset(writer)
            writer.write(data)
            await writer.drain()

    async def _change(self, up_reader, head, status, method, rule):
        body = b""
        while data := await up_reader.read(CHUNK):
            body += data
        headers = {name: value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if headers.pop("Transfer-Encoding", None):
            body = unchunk(body)
        status, headers, body = rule["change"](status, headers, body)
        if method != "HEAD":
            headers["Content-Length"] = str(len(body))
        return status, [f"HTTP/1.1 {status} Changed"] + [f"{n}: {v}" for n, v in headers.items()], body
