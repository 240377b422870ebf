"""A TCP forwarder that is far away: all that goes through it arrives later, in both directions.

It delays only, bandwidth is not limited. A connection's greeting comes one round trip after the
connection was made, which itself costs nothing on loopback. Runs in a thread of its own.
"""
import asyncio
import threading

import patience
import ports

PIECE = 65536


class Delay:
    """From address:port (0: a port of its own) to `target`, `seconds` each way; `source` is the address it connects from.

    `up`: turned off, connections are refused and those that are open end; on again, it listens where
    it did. `silent`: connections are taken and nothing ever comes of them. With shut(), connections
    get nothing until open().
    """

    def __init__(self, address, port, target, seconds, source=None, silent=False):
        self.own = 0 if port else ports.take()
        self.address, self.port, self.target = address, port or self.own, target
        self.seconds, self.silent = seconds, silent
        self.source = (source, 0) if source else None
        self.connections = 0
        self.clients = set() # their addresses
        self.open_now = set()
        self.loop = asyncio.new_event_loop()
        self.gate = asyncio.Event()
        self.gate.set()
        self.server = None
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(patience.PATIENCE)

    # ---- what a test does

    def start(self):
        self.run(self.listen())

    def stop(self):
        self.run(self.refuse())

    def shut(self):
        self.loop.call_soon_threadsafe(self.gate.clear)

    def open(self):
        self.loop.call_soon_threadsafe(self.gate.set)

    def close(self):
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        ports.give_back(self.own)

    # ---- in the thread

    async def listen(self):
        self.server = await asyncio.start_server(self.meet, self.address, self.port, backlog=256)

    async def refuse(self):
        self.server.close()
        open_now = list(self.open_now)
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def meet(self, reader, writer):
        task = asyncio.current_task()
        self.open_now.add(task)
        self.connections += 1
        self.clients.add(writer.get_extra_info("peername"))
        try:
            await self.forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.open_now.discard(task)
            writer.close()

    async def forward(self, reader, writer):
        if self.silent:
            await asyncio.Event().wait()
        await self.gate.wait()
        await asyncio.sleep(self.seconds)
        far_reader, far_writer = await asyncio.open_connection(*self.target, local_addr=self.source)
        ways = [asyncio.ensure_future(self.carry(*way))
                for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.close()

    async def carry(self, reader, writer):
        """Pieces as they come, each `seconds` later, and the end like a piece."""
        pieces = asyncio.Queue()

        async def take():
            while True:
                piece = await reader.read(PIECE)
                pieces.put_nowait((self.loop.time() + self.seconds, piece))
                if not piece:
                    return

        taking = asyncio.ensure_future(take())
        try:
            while True:
                when, piece = await pieces.get()
                await asyncio.sleep(when - self.loop.time())
                if not piece:
                    break
                writer.write(piece)
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            taking.cancel()
