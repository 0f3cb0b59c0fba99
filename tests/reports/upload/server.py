"""Takes uploads as one message, says 'tick' every second; the library's heartbeat of 10 s."""

import argparse
import asyncio

from aiohttp import web

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()


async def session(request):
    ws = web.WebSocketResponse(heartbeat=10, max_msg_size=0)
    await ws.prepare(request)

    async def ticks():
        while not ws.closed:
            await ws.send_str("tick")
            await asyncio.sleep(1)

    task = asyncio.create_task(ticks())
    try:
        async for message in ws:
            print("got a message of", len(message.data), flush=True)
    finally:
        print("over:", ws.close_code, ws.exception(), flush=True)
        task.cancel()
    return ws


app = web.Application()
app.router.add_get("/", session)
web.run_app(app, host=options.host, port=options.port, print=None)
