"""Paramiko through Bartizan: `paramiko_client.py jump|name PORT KEY LOGIN`.

Runs a command, moves a file both ways by SFTP, and exits with 0 when all of it arrived.
"""

import io
import os
import sys

import paramiko

way, port, keyfile, login = sys.argv[1:]
port = int(port)
key = paramiko.Ed25519Key.from_private_key_file(keyfile)


def connect(user, sock=None):
    client = paramiko.SSHClient()
    # Paramiko knows no host certificates; that the key is right is tested with clients that do.
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", port, user, pkey=key, sock=sock, allow_agent=False, look_for_keys=False)
    return client


if way == "jump":
    outer = connect("alice")
    channel = outer.get_transport().open_channel("direct-tcpip", ("web-1", 22), ("127.0.0.1", 0))
    client = connect(login, channel)
else:
    client = connect(f"{login}@web-1")

stdin, stdout, stderr = client.exec_command("cat; echo hi; echo no >&2; exit 7")
stdin.write("in\n")
stdin.channel.shutdown_write()
assert stdout.read() == b"in\nhi\n"
assert stderr.read() == b"no\n"
assert stdout.channel.recv_exit_status() == 7

sent = os.urandom(3_000_000)
path = f"/tmp/bartizan-paramiko-{os.getpid()}"
sftp = client.open_sftp()
try:
    sftp.putfo(io.BytesIO(sent), path)
    back = io.BytesIO()
    sftp.getfo(path, back)
    assert back.getvalue() == sent
finally:
    sftp.remove(path)
client.get_transport().renegotiate_keys()
_, stdout, _ = client.exec_command("echo after new keys")
assert stdout.read() == b"after new keys\n"
client.close()
print("ok")
