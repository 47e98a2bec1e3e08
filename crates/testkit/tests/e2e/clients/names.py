"""User names that nobody has: `names.py PORT KEY`. Each, with a key that nobody has and with alice's, which is good, is tried on a connection of its own.

Exits with 0 when the server refused every one of them in an orderly way.
"""

import itertools
import socket
import sys

import paramiko

port = int(sys.argv[1])
keys = [paramiko.RSAKey.generate(2048), paramiko.Ed25519Key.from_private_key_file(sys.argv[2])]
names = [
    b"",
    b"@",
    b"root@",
    b"@web-1",
    b"root@web 1",
    b"+",
    b"alice+@web-1",
    b"+root@web-1",
    b"root%web-1",
    b"alice\x00",
    b"alice\n",
    b"al\x1b[2Jice",
    b"\xff\xfe\xfd",
    "\u202ealice".encode(),
    b"-oProxyCommand=touch /tmp/x@web-1",
    b"../../etc/passwd@web-1",
    b"%s%n%x@web-1",
    b"a" * 257,
    b"a" * 100_000,
    b"a" * 1_000_000,
]
for name, key in itertools.product(names, keys):
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port)))
    try:
        transport.start_client(timeout=30)
        transport.auth_publickey(name, key)
    except (paramiko.SSHException, EOFError, OSError) as error:
        print(name[:40], type(error).__name__, error)
    else:
        sys.exit(f"{name[:40]} was let in")
    finally:
        transport.close()
