"""asyncssh through Bartizan: `asyncssh_client.py jump|name PORT KEY LOGIN KNOWN_HOSTS ACTION …`.

Host keys and host certificates are verified by the given file. Exits with 0 when the action did all it
should; see `Library` in `tools.rs`.
"""

import asyncio
import sys

import asyncssh

way, port, keyfile, login, known_hosts, action, *words = sys.argv[1:]


async def shell(client, typed):
    done = await client.run(input=typed, term_type="xterm", term_size=(80, 24))
    assert done.exit_status == 7, done
    print(done.stdout)


async def execute(client, command):
    done = await client.run(command, input="in\n")
    assert (done.stdout, done.stderr, done.exit_status) == ("in\nhi\n", "no\n", 7), done
    # Many channels at once.
    many = await asyncio.gather(*(client.run(f"echo {n}; exit {n}") for n in range(20)))
    assert [(m.stdout, m.exit_status) for m in many] == [(f"{n}\n", n) for n in range(20)]


async def upload(client, near, far):
    async with client.start_sftp_client() as sftp:
        await sftp.put(near, far)


async def download(client, far, near):
    async with client.start_sftp_client() as sftp:
        await sftp.get(far, near)


async def forward(client, to):
    reader, writer = await client.open_connection("127.0.0.1", int(to))
    writer.write(b"hello!")
    print((await reader.read()).decode(), end="")
    writer.close()


actions = {"shell": shell, "exec": execute, "upload": upload, "download": download, "forward": forward}


async def main():
    common = {"client_keys": [keyfile], "known_hosts": known_hosts, "agent_path": None, "config": None}
    if way == "jump":
        outer = await asyncssh.connect("127.0.0.1", int(port), username="alice", **common)
        client = await asyncssh.connect("web-1", 22, username=login, tunnel=outer, **common)
    else:
        client = await asyncssh.connect("127.0.0.1", int(port), username=f"{login}@web-1", **common)
    async with client:
        await actions[action](client, *words)


asyncio.run(main())
