"""Listens on IPv6 (a dual-stack host): --only for IPv6 alone."""

import argparse
import asyncio
import socket

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--only", action="store_true")
options = parser.parse_args()


async def handler(connection):
    while True:
        await connection.send(bytes(32768))
        await asyncio.sleep(0.05)


async def main():
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(options.only))
    sock.bind(("::", options.port))
    sock.listen()
    async with serve(handler, sock=sock) as server:
        await server.serve_forever()


asyncio.run(main())
