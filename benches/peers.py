"""The paths that are measured: OpenSSH servers, a Bartizan, and what their processes use.

Everything runs on loopback, in one temporary folder, as the user who measures.
"""

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SSHD = "/usr/sbin/sshd"


class Failure(Exception):
    """A figure could not be taken; the message says why."""


def stat(pid):
    """(parent, CPU ticks of the process and of its reaped children)."""
    text = Path(f"/proc/{pid}/stat").read_text()
    # The name may hold spaces and parentheses: split after the last one.
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15]))


def tree(root):
    """A process and all its living descendants."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            children.setdefault(stat(name)[0], []).append(int(name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def private_memory(pid):
    """Bytes that belong to this process alone (Private_Clean + Private_Dirty)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


class Server:
    """A server process: its CPU time and memory are those of its whole process tree."""

    def __init__(self, argv, port, log):
        with open(log, "ab") as file:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.port, self.log = port, log
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure(f"{argv[0]} does not start:\n{Path(log).read_text()[-2000:]}")
            time.sleep(0.05)

    def cpu(self):
        """CPU seconds so far."""
        ticks = 0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError, IndexError):
                ticks += stat(pid)[1]
        return ticks / TICK

    def settled_cpu(self):
        """CPU seconds once the server is at rest: ends of sessions are part of their cost."""
        last = self.cpu()
        for _ in range(50):
            time.sleep(0.1)
            now = self.cpu()
            if now == last:
                break
            last = now
        return last

    def memory(self):
        """Bytes of memory that would be free without the server."""
        total = 0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                total += private_memory(pid)
        return total

    def stop(self):
        """Ends the server and whatever it started."""
        for pid in reversed(tree(self.process.pid)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        self.process.wait(30)


class Peers:
    """A target, an OpenSSH jump host and a Bartizan; use as a context manager."""

    # name in the table → alias in the client's configuration
    PATHS = {"direct": "direct", "ssh -J": "jumped", "user name": "by-name", "ProxyJump": "web-1"}

    def __init__(self, programs):
        self.programs = Path(programs)

    def __enter__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="bartizan-bench-"))
        self.servers = []
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        (self.dir / "home").mkdir()
        self.login = getpass.getuser()
        self.key = self.keygen("id_alice")
        self.target = self.sshd("target")
        self.jump = self.sshd("jump")
        self.data = self.dir / "data"
        port = free_port()
        self.run("bartizand", "init", "--data", self.data, "--listen", f"127.0.0.1:{port}")
        self.port = port
        self.serve()
        self.bartizan("person", "add", "alice", "--key", f"{self.key}.pub")
        (self.dir / "user_ca.pub").write_text(self.bartizan("ca", "show", "user"))
        self.bartizan("target", "add", "web-1", f"127.0.0.1:{self.target.port}",
                      "--host-key", self.dir / "target_host.pub")
        self.bartizan("grant", "add", "--person", "alice", "--target", "web-1", "--login", self.login,
                      "--allow", "shell,exec,sftp:read,sftp:write,scp,forward:local", "--record", "1M")
        self.client()

    def serve(self):
        self.proxy = Server([self.programs / "bartizand", "serve", "--data", self.data],
                            self.port, self.dir / "bartizand.log")
        self.servers.append(self.proxy)
        # The port listens first; this is there when all of it runs.
        end = time.monotonic() + 30
        while not (self.data / "admin.sock").exists():
            if time.monotonic() > end:
                raise Failure("bartizand does not open admin.sock")
            time.sleep(0.02)

    def restart(self):
        """A fresh Bartizan on the same data: memory kept from earlier sessions hides what new ones need."""
        self.servers.remove(self.proxy)
        self.proxy.stop()
        self.serve()

    def server_of(self, path):
        """The server between client and target, if there is one."""
        return {"ssh -J": self.jump, "user name": self.proxy, "ProxyJump": self.proxy}.get(path)

    def run(self, program, *arguments):
        done = subprocess.run([self.programs / program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{program} {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def bartizan(self, *arguments):
        return self.run("bartizan", "-D", self.data, *arguments)

    def keygen(self, name):
        path = self.dir / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def sshd(self, name):
        host_key, port, config = self.keygen(f"{name}_host"), free_port(), self.dir / f"{name}.conf"
        (self.dir / "user_ca.pub").touch()
        config.write_text(f"""ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
PidFile none
AuthorizedKeysFile {self.key}.pub
TrustedUserCAKeys {self.dir}/user_ca.pub
SetEnv HOME={self.dir}/home
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 2000
MaxSessions 2000
LogLevel ERROR
Subsystem sftp internal-sftp
""")
        server = Server([SSHD, "-D", "-e", "-f", config], port, self.dir / f"{name}.log")
        self.servers.append(server)
        return server

    def light_clients(self, count=4):
        """Command lines of clients that take a number of sessions and cost little, to a target that costs little."""
        examples, port = self.programs / "examples", free_port()
        host_key, bastion_key = self.keygen("echo_host"), self.dir / "bastion.pub"
        self.servers.append(Server([examples / "server", f"127.0.0.1:{port}", host_key, self.dir / "user_ca.pub"],
                                   port, self.dir / "echo.log"))
        self.bartizan("target", "add", "echo", f"127.0.0.1:{port}", "--host-key", f"{host_key}.pub")
        self.bartizan("grant", "add", "--person", "alice", "--target", "echo", "--login", "nobody", "--allow", "exec")
        known = json.loads(self.bartizan("ssh-config", "--json"))["known_hosts"].splitlines()
        plain = next(line for line in known if "ssh-ed25519" in line and not line.startswith("@"))
        bastion_key.write_text(" ".join(plain.split()[1:3]) + "\n")
        client = [examples / "client", f"127.0.0.1:{self.port}", "nobody@echo", self.key, bastion_key, "true"]
        return [client] * count

    def client(self):
        """The configuration of the stock client: one alias a path."""
        self.config = self.dir / "ssh_config"
        self.config.write_text(f"""Host direct
  HostName 127.0.0.1
  Port {self.target.port}
  User {self.login}
Host jumphost
  HostName 127.0.0.1
  Port {self.jump.port}
  User {self.login}
Host jumped
  HostName 127.0.0.1
  Port {self.target.port}
  User {self.login}
  ProxyJump jumphost
Host bastion
  HostName 127.0.0.1
  Port {self.port}
  User alice
Host by-name
  HostName 127.0.0.1
  Port {self.port}
  User {self.login}@web-1
Host web-1
  User {self.login}
  ProxyJump bastion
Host *
  IdentityFile {self.key}
  IdentitiesOnly yes
  IdentityAgent none
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  GlobalKnownHostsFile /dev/null
  ControlMaster no
  BatchMode yes
  LogLevel ERROR
""")

    def ssh(self, path, *arguments, cipher=None, kex=None):
        """The command line of `ssh` for one path. A cipher or key exchange also holds for a jump's outer connection."""
        config = self.config
        settings = [f"  {key} {value}\n" for key, value in (("Ciphers", cipher), ("KexAlgorithms", kex)) if value]
        if settings:
            config = self.dir / f"ssh_config_{cipher}_{kex}"
            if not config.exists():
                config.write_text(self.config.read_text() + "".join(settings))
        options, command = arguments[:-1], arguments[-1:]
        return ["ssh", "-F", str(config), *options, self.PATHS[path], *command]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
