"""Homes: homes.py PORT KEY COUNT CERTIFICATE CERTIFICATE_KEY. Each has a tunnel and a web server of its own behind it, which
answers every command with its number and the command.

Says so when all are connected; ends with standard input.
"""

import asyncio
import os
import ssl
import sys
from datetime import timedelta

from aiohttp import web
from snitun.utils.aiohttp_client import SniTunClientAioHttp
from snitun.utils.server import PROTOCOL_VERSION, generate_client_token

# The server drops whoever has not said who it is while thirty other events came: of many at a time it would drop some.
AT_ONCE = 8


async def connect(home: int, port: int, key: str, context: ssl.SSLContext) -> None:
    async def obey(request: web.Request) -> web.Response:
        return web.Response(body=home.to_bytes(4, "big") + await request.read())

    application = web.Application()
    application.router.add_post("/", obey)
    # The caller keeps its connections for as long as it likes.
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=86400)
    await runner.setup()
    client = SniTunClientAioHttp(runner, context, "127.0.0.1", port)
    await client.start()
    aes_key, aes_iv = os.urandom(32), os.urandom(16)
    token = generate_client_token([key], timedelta(days=1), f"{home}.homes.test", aes_key, aes_iv)
    await client.connect(token, aes_key, aes_iv, protocol_version=PROTOCOL_VERSION)


async def main(port: str, key: str, count: str, certificate: str, certificate_key: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate_key)
    some = asyncio.Semaphore(AT_ONCE)

    async def connect_some(home: int) -> None:
        async with some:
            await connect(home, int(port), key, context)

    await asyncio.gather(*(connect_some(home) for home in range(int(count))))
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
