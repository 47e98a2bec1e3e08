"""What stock clients never send: `hostile_client.py direct|jump|name PORT KEY LOGIN ACTION …`, with Paramiko."""

import sys

import paramiko

way, port, keyfile, login, action, *words = sys.argv[1:]
key = paramiko.Ed25519Key.from_private_key_file(keyfile)


def connect(user, sock=None):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", int(port), user, pkey=key, sock=sock, allow_agent=False, look_for_keys=False)
    return client


if way == "jump":
    outer = connect("alice")
    tunnel = outer.get_transport().open_channel("direct-tcpip", ("web-1", 22), ("127.0.0.1", 0))
    client = connect(login, tunnel)
else:
    client = connect(f"{login}@web-1" if way == "name" else login)


def finish(channel):
    shown = b""
    while chunk := channel.recv(65536):
        shown += chunk
    sys.stdout.buffer.write(shown)
    return channel.recv_exit_status()


def nul(command):
    """A command with NUL bytes, written as `%00`."""
    channel = client.get_transport().open_session()
    channel.exec_command(command.replace("%00", "\0").encode())
    return finish(channel)


def sizes(count):
    """A terminal that changes its size `count` times, to sizes that no terminal has among them."""
    channel = client.get_transport().open_session()
    channel.get_pty("xterm", 80, 24)
    channel.exec_command(b"read go; stty size; exit 3")
    for n in range(int(count)):
        channel.resize_pty(*[(0, 0), (1, 1), (2**32 - 1, 2**32 - 1), (80, n % 500)][n % 4])
    channel.resize_pty(132, 43)
    channel.sendall(b"go\n")
    return finish(channel)


def terminal(when):
    """`cat` that reads a KiB, and a terminal asked for without a reply before it (`early`) or while it runs (`late`)."""
    channel = client.get_transport().open_session()

    def ask():
        message = paramiko.Message()
        message.add_byte(bytes([98]))
        message.add_int(channel.remote_chanid)
        message.add_string("pty-req")
        message.add_boolean(False)
        message.add_string("xterm")
        for size in (80, 24, 0, 0):
            message.add_int(size)
        message.add_string(b"")
        client.get_transport()._send_user_message(message)

    if when == "early":
        ask()
    channel.exec_command(b"cat")
    if when == "late":
        ask()
    channel.sendall(b"0123456789abcdef" * 64)
    channel.shutdown_write()
    return finish(channel)


def forwards(to, count):
    """Forwarded connections, opened and closed one after the other, some without a word."""
    for n in range(int(count)):
        channel = client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", int(to)), ("127.0.0.1", n))
        if n % 3:
            channel.sendall(b"hello!")
        if n % 3 == 1:
            assert channel.recv(6) == b"HELLO!"
        channel.close()
    return 0


code = {"nul": nul, "sizes": sizes, "terminal": terminal, "forwards": forwards}[action](*words)
client.close()
sys.exit(code)
