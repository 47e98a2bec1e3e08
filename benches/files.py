"""Files and forwarded connections: what decoders and book-keeping cost.

Bartizan decodes and hashes each file that passes; the copy is used only when the log has its digest.
"""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from peers import Failure, Peers, free_port

MIB, GIB = 1 << 20, 1 << 30
BLOCK = os.urandom(MIB)


def memory_folder(peers, need):
    """A folder in memory where there is room, so that no disk is measured."""
    shm = Path("/dev/shm")
    room = shm.is_dir() and shutil.disk_usage(shm).free > 2 * need + GIB
    return tempfile.TemporaryDirectory(prefix="bartizan-bench-", dir=shm if room else peers.dir)


def run(argv, what):
    """Runs a client to its end; gives the seconds."""
    start = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    if done.returncode:
        raise Failure(f"{what}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return time.monotonic() - start


def copies(peers, path, folder, here, there):
    """(name, command line) of each way to copy `there` to `here` and back."""
    alias, batch = Peers.PATHS[path], folder / "batch"

    def sftp(command):
        def argv():
            batch.write_text(command + "\n")
            return ["sftp", "-F", peers.config, "-b", batch, alias]
        return argv

    def scp(*words):
        return lambda: ["scp", "-q", "-F", peers.config, *words]

    yield "sftp get", here, sftp(f"get {there} {here}")
    yield "sftp put", there, sftp(f"put {here} {there}")
    yield "scp down", here, scp(f"{alias}:{there}", here)
    yield "scp up", there, scp(here, f"{alias}:{there}")
    yield "scp -O down", here, scp("-O", f"{alias}:{there}", here)
    yield "scp -O up", there, scp("-O", here, f"{alias}:{there}")


def logged_digest(peers, file):
    """The SHA-256 of the newest transfer, as the audit log has it, if that was of this file."""
    text = peers.bartizan("log", "search", "--type", "transfer", "--limit", "1", "--json")
    if file not in text:
        return None
    # An array, or an object a line.
    found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return next((value for key, value in walk(found[0]) if key == "sha256"), None)


def walk(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)


def files(peers, path, opt):
    """One large file by each protocol, there and back."""
    size = opt.file_mib * MIB
    server = peers.server_of(path)
    with memory_folder(peers, size) as folder:
        folder = Path(folder)
        here, there = folder / "here", folder / "there"
        digest = hashlib.sha256()
        with open(there, "wb") as file:
            for _ in range(opt.file_mib):
                file.write(BLOCK)
                digest.update(BLOCK)
        for name, result, argv in copies(peers, path, folder, here, there):
            kept = here if result is there else there
            result.unlink(missing_ok=True)
            before = server.settled_cpu() if server else 0
            took = run(argv(), name)
            if result.stat().st_size != kept.stat().st_size:
                raise Failure(f"{name}: {result.stat().st_size} of {size} bytes arrived")
            yield name, "MB/s", size / took / 1e6
            if server:
                yield f"CPU, {name}", "s/GiB", (server.settled_cpu() - before) * GIB / size
            if server is peers.proxy and logged_digest(peers, str(there)) != digest.hexdigest():
                raise Failure(f"{name}: the log does not have its digest")


def many(peers, path, opt):
    """Many small files in one session."""
    with memory_folder(peers, opt.small * 4096) as folder:
        folder = Path(folder)
        there = folder / "there"
        there.mkdir()
        for n in range(opt.small):
            (there / f"file-{n:05}").write_bytes(BLOCK[n:n + 1024])
        alias, batch = Peers.PATHS[path], folder / "batch"
        batch.write_text(f"get -r {there} {folder}/here\nput -r {folder}/here {folder}/back\n")
        took = run(["sftp", "-q", "-F", peers.config, "-b", batch, alias], "many small files")
        if len(list((folder / "back").iterdir())) != opt.small:
            raise Failure("many small files: some did not arrive")
        yield "small files by sftp, there and back", "files/s", 2 * opt.small / took
        took = run(["scp", "-q", "-O", "-r", "-F", peers.config, f"{alias}:{there}", folder / "old"], "small files by scp -O")
        if len(list((folder / "old").iterdir())) != opt.small:
            raise Failure("many small files: some did not arrive")
        yield "small files by scp -O", "files/s", opt.small / took


class Holder:
    """Accepts connections, says a byte on each, and holds them."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.sendall(b"x")
                self.held.append(connection)

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.held:
            connection.close()


def forwards(peers, path, opt):
    """Memory of the server for each of many forwarded connections that are open at once."""
    server = peers.server_of(path)
    if not server:
        return
    if server is peers.proxy:
        peers.restart()
        server = peers.proxy
    # Each is a descriptor of the client, of the server and of the target, which inherit this, and two of ours.
    wanted, (now, most) = 4 * opt.forwards + 256, resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and wanted > most:
        raise Failure(f"{wanted} open files are needed and {most} allowed: raise ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))
    port, connections = free_port(), []
    with Holder() as holder:
        *argv, alias = peers.ssh(path, Peers.PATHS[path])[:-1]
        forward = f"127.0.0.1:{port}:127.0.0.1:{holder.port}"
        ssh = subprocess.Popen([*argv, "-N", "-o", "ExitOnForwardFailure=yes", "-L", forward, alias],
                               stdin=subprocess.DEVNULL)
        try:
            connections.append(connect(port))
            server.settled_cpu()
            before = server.memory()
            # No more than that in all: a connection has 1,000 channels at most.
            while len(connections) < opt.forwards:
                connections.append(connect(port))
            server.settled_cpu()
            yield "open forward", "KiB", (server.memory() - before) / 1024 / (opt.forwards - 1)
        finally:
            for connection in connections:
                connection.close()
            ssh.kill()
            ssh.wait(60)


def connect(port):
    """A forwarded connection that has been answered from the other end."""
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), 30)
            if connection.recv(1) == b"x":
                return connection
            connection.close()
        if time.monotonic() > end:
            raise Failure("a forwarded connection is not answered")
        time.sleep(0.05)
