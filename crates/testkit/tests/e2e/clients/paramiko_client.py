"""Paramiko through Bartizan: `paramiko_client.py jump|name PORT KEY LOGIN KNOWN_HOSTS ACTION …`.

Exits with 0 when the action did all it should; see `Library` in `tools.rs`.
"""

import sys

import paramiko

way, port, keyfile, login, _, action, *words = sys.argv[1:]
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


def shell(typed):
    channel = client.invoke_shell()
    channel.sendall(typed.encode())
    shown = b""
    while chunk := channel.recv(1000):
        shown += chunk
    assert channel.recv_exit_status() == 7
    print(shown.decode())


def execute(command):
    stdin, stdout, stderr = client.exec_command(command)
    # New keys while the channel is open and silent: Paramiko deadlocks where the server closes one meanwhile.
    client.get_transport().renegotiate_keys()
    stdin.write("in\n")
    stdin.channel.shutdown_write()
    assert stdout.read() == b"in\nhi\n"
    assert stderr.read() == b"no\n"
    assert stdout.channel.recv_exit_status() == 7


def upload(near, far):
    client.open_sftp().put(near, far)


def download(far, near):
    client.open_sftp().get(far, near)


def forward(to):
    channel = client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", int(to)), ("127.0.0.1", 0))
    channel.sendall(b"hello!")
    answer = b""
    while chunk := channel.recv(1000):
        answer += chunk
    channel.close()
    print(answer.decode(), end="")


actions = {"shell": shell, "exec": execute, "upload": upload, "download": download, "forward": forward}
actions[action](*words)
client.close()
