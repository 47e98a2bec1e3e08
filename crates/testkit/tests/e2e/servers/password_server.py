"""An SSH server of another make that takes passwords: `password_server.py MODE HOST_KEY USER PASSWORD`.

MODE is `password` (that method alone), `interactive` (keyboard-interactive, one hidden prompt), `visible` (one prompt
that echoes) or `two` (two prompts). Standard error tells the port, and each time that an answer came.
"""

import asyncio
import sys

import asyncssh

mode, host_key, user, password = sys.argv[1:]
PROMPTS = {
    "interactive": [("Password: ", False)],
    "visible": [("User: ", True)],
    "two": [("Password: ", False), ("Code: ", False)],
}


def tell(line):
    print(line, file=sys.stderr, flush=True)


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        self.user = username
        return True

    def public_key_auth_supported(self):
        return False

    def password_auth_supported(self):
        return mode == "password"

    def validate_password(self, username, given):
        tell("answered password")
        return (username, given) == (user, password)

    def kbdint_auth_supported(self):
        return mode != "password"

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", PROMPTS[mode]

    def validate_kbdint_response(self, username, responses):
        tell(f"answered {len(responses)} prompts")
        return (username, list(responses)) == (user, [password])


async def run(process):
    process.stdout.write(f"{process.get_extra_info('username')} ran {process.command}\n")
    process.exit(7)


async def main():
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[host_key], process_factory=run
    )
    tell(f"listening on {server.sockets[0].getsockname()[1]}.")
    await server.wait_closed()


asyncio.run(main())
