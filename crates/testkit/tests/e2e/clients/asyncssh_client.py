"""asyncssh through Bartizan: `asyncssh_client.py jump|name PORT KEY LOGIN KNOWN_HOSTS`.

Host keys and host certificates are verified by the given file. Exits with 0 when everything arrived.
"""

import asyncio
import os
import sys

import asyncssh

way, port, keyfile, login, known_hosts = sys.argv[1:]


async def main():
    common = {"client_keys": [keyfile], "known_hosts": known_hosts, "agent_path": None, "config": None}
    if way == "jump":
        outer = await asyncssh.connect("127.0.0.1", int(port), username="alice", **common)
        client = await asyncssh.connect("web-1", 22, username=login, tunnel=outer, **common)
    else:
        client = await asyncssh.connect("127.0.0.1", int(port), username=f"{login}@web-1", **common)
    async with client:
        done = await client.run("cat; echo hi; echo no >&2; exit 7", input="in\n")
        assert (done.stdout, done.stderr, done.exit_status) == ("in\nhi\n", "no\n", 7), done
        # Many channels at once.
        many = await asyncio.gather(*(client.run(f"echo {n}; exit {n}") for n in range(20)))
        assert [(m.stdout, m.exit_status) for m in many] == [(f"{n}\n", n) for n in range(20)]
        sent = os.urandom(3_000_000)
        path = f"/tmp/bartizan-asyncssh-{os.getpid()}"
        async with client.start_sftp_client() as sftp:
            try:
                async with sftp.open(path, "wb") as file:
                    await file.write(sent)
                async with sftp.open(path, "rb") as file:
                    assert await file.read() == sent
            finally:
                await sftp.remove(path)
        shell = await client.run("tty >/dev/null && echo terminal", term_type="xterm", term_size=(80, 24))
        assert "terminal" in shell.stdout, shell
    print("ok")


asyncio.run(main())
