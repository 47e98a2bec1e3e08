"""Opens a channel of any type: `channel_open.py jump|name|own PORT KEY LOGIN TYPE [UINT32…]`.

Exits with 0 when it is refused as administratively prohibited (RFC 4254 §5.1); Paramiko logs with which words.
"""

import sys
import threading

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN

way, port, keyfile, login, kind, *numbers = sys.argv[1:]
key = paramiko.Ed25519Key.from_private_key_file(keyfile)


def connect(user, sock=None):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", int(port), user, pkey=key, sock=sock, allow_agent=False, look_for_keys=False)
    return client


if way == "jump":
    outer = connect("alice")
    through = outer.get_transport().open_channel("direct-tcpip", ("web-1", 22), ("127.0.0.1", 0))
    client = connect(login, through)
elif way == "own":
    client = connect("alice")
else:
    client = connect(f"{login}@web-1")

transport = client.get_transport()
number = transport._next_channel()
message = paramiko.Message()
message.add_byte(cMSG_CHANNEL_OPEN)
message.add_string(kind)
for value in (number, 1 << 20, 1 << 15, *map(int, numbers)):
    message.add_int(value)
channel = paramiko.Channel(number)
channel._set_transport(transport)
transport._channels.put(number, channel)
transport.channel_events[number] = event = threading.Event()
transport.channels_seen[number] = True
channel._set_window(1 << 20, 1 << 15)
transport._send_user_message(message)
event.wait(30)
refused = transport.get_exception()
assert isinstance(refused, paramiko.ChannelException) and refused.code == 1, refused
