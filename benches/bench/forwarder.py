"""A slow path to hosts: TCP forwarders on the loopback that hold every chunk for some time, in each
direction, and limit nothing else. A process of its own, so that nobody's clock is disturbed.

Takes one JSON object on standard input, prints one line when it listens, and runs until it is
ended:
  {"seconds": 0.025, "listen": [["127.0.0.1", port, "address", port], …]}"""

import asyncio
import json
import socket
import sys


async def hold(reader, writer, seconds):
    """Copies what comes, each chunk `seconds` after it came, in order."""
    queue = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    async def read():
        while chunk := await reader.read(1 << 16):
            queue.put_nowait((clock() + seconds, chunk))
        queue.put_nowait((clock() + seconds, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(due - clock())
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
    finally:
        reading.cancel()


async def serve(address, port, seconds, reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection(address, port)
    except OSError:
        writer.close()
        return
    for end in (writer, far_writer):
        end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A handshake of TCP's takes one round trip before the first byte can be sent.
    await asyncio.sleep(2 * seconds)
    await asyncio.gather(hold(reader, far_writer, seconds), hold(far_reader, writer, seconds))
    far_writer.close()
    writer.close()


async def main():
    spec = json.load(sys.stdin)
    servers = []
    for here, here_port, there, there_port in spec["listen"]:

        def client(reader, writer, there=there, there_port=there_port):
            return serve(there, there_port, spec["seconds"], reader, writer)

        servers.append(await asyncio.start_server(client, here, here_port))
    print("listening", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
