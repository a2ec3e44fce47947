"""The websockets library on both sides of the sidecar."""

import asyncio

from harness import Skip, equal, run_cases
from sidecar import Sidecar

try:
    import websockets
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve
except ImportError:
    websockets = None


async def conversation(on_connection, talk):
    """Serves `on_connection` behind a sidecar and lets a client `talk`."""
    async with serve(on_connection, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        sidecar = await asyncio.to_thread(Sidecar, f"127.0.0.1:{port}")
        try:
            async with connect(f"wss://localhost:{sidecar.hybrid}/ws", ssl=sidecar.trust(), max_size=None) as client:
                await asyncio.wait_for(talk(client), 30)
        except BaseException as error:
            await asyncio.to_thread(sidecar.__exit__, type(error))
            raise
        await asyncio.to_thread(sidecar.__exit__, None)


def run(on_connection, talk):
    if websockets is None:
        raise Skip("websockets is not installed")
    asyncio.run(conversation(on_connection, talk))


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def case_messages_of_every_size_come_back_as_they_were():
    async def talk(client):
        for message in ("", "token", b"\0\xff", "x" * 200_000, bytes(900_000)):
            await client.send(message)
            equal(await client.recv(), message)
        pong = await client.ping()
        await pong

    run(echo, talk)


def case_the_server_may_speak_first_and_close_with_a_reason():
    async def greet(connection):
        await connection.send("ready")
        await connection.close(4001, "model unloaded")

    async def talk(client):
        equal(await client.recv(), "ready")
        await client.wait_closed()
        equal((client.close_code, client.close_reason), (4001, "model unloaded"))

    run(greet, talk)


def case_a_client_that_vanishes_is_noticed_by_the_server():
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def watch(connection):
        await connection.recv()
        arrived.set()
        await connection.wait_closed()
        gone.set()

    async def talk(client):
        await client.send("hello")
        # A reset takes what has not been read yet with it.
        await asyncio.wait_for(arrived.wait(), 10)
        client.transport.abort()
        await asyncio.wait_for(gone.wait(), 10)

    run(watch, talk)


run_cases(globals())
