"""An SSH server that says which signals and breaks come: `signal_server.py HOST_KEY USER PASSWORD`.

OpenSSH's server passes no signals on to the processes of root, and knows no breaks. Standard error tells the port.
"""

import asyncio
import sys

import asyncssh

host_key, user, password = sys.argv[1:]


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return (username, given) == (user, password)

    def session_requested(self):
        return Session()


class Session(asyncssh.SSHServerSession):
    def connection_made(self, chan):
        self.chan = chan

    def exec_requested(self, command):
        return True

    def session_started(self):
        self.chan.write("ready\n")

    def signal_received(self, signal):
        self.chan.write(f"signal {signal}\n")

    def break_received(self, msec):
        self.chan.write(f"break {msec}\n")
        return True

    def eof_received(self):
        self.chan.exit_with_signal("TERM")
        return False


async def main():
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[host_key])
    print(f"listening on {server.sockets[0].getsockname()[1]}.", file=sys.stderr, flush=True)
    await server.wait_closed()


asyncio.run(main())
