"""Signals and a break through Bartizan: `signal_client.py PORT KEY USER KNOWN_HOSTS`.

The server is `servers/signal_server.py`, which says what came. Exits with 0 when all of it did.
"""

import asyncio
import sys

import asyncssh

port, keyfile, user, known_hosts = sys.argv[1:]


async def main():
    client = await asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[keyfile], known_hosts=known_hosts, agent_path=None, config=None
    )
    async with client:
        process = await client.create_process("wait")

        async def says(line):
            said = await process.stdout.readline()
            assert said == line + "\n", (said, line)

        await says("ready")
        for signal in ["INT", "USR1"]:
            process.send_signal(signal)
            await says(f"signal {signal}")
        process.send_break(250)
        await says("break 250")
        process.stdin.write_eof()
        done = await process.wait()
        assert done.exit_signal[0] == "TERM", done.exit_signal


asyncio.run(main())
