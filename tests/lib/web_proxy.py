# SPDX-License-Identifier: Apache-2.0
"""A web proxy as sites have them, on loopback alone: passes requests on by their absolute URL, and makes tunnels (CONNECT). Asked for
a name and a password when it is given some. `tunnels` and `requests` count."""

import asyncio
import base64
import threading

CHUNK = 1 << 18


class WebProxy:
    def __init__(self, user=None):
        self.wanted = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
        self.tunnels = self.requests = self.refused = 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
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

    # ---- in the thread

    @staticmethod
    async def _pump(reader, writer):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            method, target, _ = head[0].split(" ")
            lines = [line for line in head[1:] if not line.lower().startswith("proxy-")]
            given = next((line.partition(": ")[2] for line in head[1:] if line.lower().startswith("proxy-authorization:")), None)
            if self.wanted and given != self.wanted:
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Who Are You\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n"
                             b"Connection: close\r\n\r\n")
                await writer.drain()
            elif method == "CONNECT":
                self.tunnels += 1
                await self._pass(reader, writer, target, b"HTTP/1.1 200 Go On\r\n\r\n", b"")
            else:
                self.requests += 1
                place, _, path = target.removeprefix("http://").partition("/")
                # One request for each connection.
                first = "\r\n".join([f"{method} /{path} HTTP/1.1", *lines, "Connection: close"]) + "\r\n\r\n"
                await self._pass(reader, writer, place, b"", first.encode("latin-1"))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _pass(self, reader, writer, place, to_client, to_server):
        host, _, port = place.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1" if host.endswith("localhost") else host, int(port))
        writer.write(to_client)
        up_writer.write(to_server)
        there = asyncio.ensure_future(self._pump(reader, up_writer))
        try:
            await self._pump(up_reader, writer)
        finally:
            there.cancel()
            up_writer.close()
