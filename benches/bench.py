#!/usr/bin/env python3
"""Measures Bartizan against OpenSSH, side by side in one run on one machine.

Four paths to the same target: directly; `ssh -J` through an OpenSSH jump host, which records nothing;
and Bartizan by its two ways in, with recording on (1 MiB of each channel's bytes kept) and SHA-256 of
everything. Rounds alternate between the paths and each begins with another one; figures are medians,
ratios are taken per round. CPU time is that of the process between client and target, from /proc.

Python 3.10+, standard library only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from files import files, forwards, many
from peers import Failure, Peers

MIB, GIB = 1 << 20, 1 << 30
PATHS = list(Peers.PATHS)
AES = "aes256-gcm@openssh.com"


def popen(argv, **how):
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def finish(process, what):
    errors = process.stderr.read()
    if process.wait(60) != 0:
        raise Failure(f"{what}: exit code {process.returncode}: {errors.decode(errors='replace')[-300:]}")


def drain(pipe):
    """Reads a pipe to its end without copying; gives the number of bytes."""
    total, null = 0, os.open("/dev/null", os.O_WRONLY)
    try:
        while n := os.splice(pipe.fileno(), null, MIB):
            total += n
    finally:
        os.close(null)
    return total


def download(peers, path, opt, cipher):
    size = opt.mib * MIB
    with popen(peers.ssh(path, f"head -c {size} /dev/zero", cipher=cipher)) as ssh:
        ssh.stdin.close()
        first = os.read(ssh.stdout.fileno(), 65536)
        start = time.monotonic()
        total = len(first) + drain(ssh.stdout)
        took = time.monotonic() - start
        finish(ssh, "download")
    if total != size:
        raise Failure(f"download: {total} of {size} bytes arrived")
    return size, took


def upload(peers, path, opt, cipher):
    size = opt.mib * MIB
    with popen(peers.ssh(path, "echo go; wc -c", cipher=cipher)) as ssh:
        if ssh.stdout.readline() != b"go\n":
            finish(ssh, "upload")
        start = time.monotonic()
        subprocess.run(["head", "-c", str(size), "/dev/zero"], stdout=ssh.stdin, check=True)
        ssh.stdin.close()
        total = int(ssh.stdout.read())
        took = time.monotonic() - start
        finish(ssh, "upload")
    if total != size:
        raise Failure(f"upload: {total} of {size} bytes arrived")
    return size, took


def bulk(peers, path, opt):
    """Throughput of a pipe through `ssh`, from the first byte on: set-up has its own figure."""
    for name, cipher in (("aes256-gcm", AES), ("client's defaults", None)):
        for direction in (download, upload):
            server = peers.server_of(path)
            before = server.settled_cpu() if server else 0
            size, took = direction(peers, path, opt, cipher)
            figure = f"{direction.__name__}, {name}"
            yield figure, "MB/s", size / took / 1e6
            if server:
                yield f"CPU, {figure}", "s/GiB", (server.settled_cpu() - before) * GIB / size


def terminal(peers, path, opt):
    """Output through a terminal, which is recorded whole."""
    server = peers.server_of(path)
    before = server.settled_cpu() if server else 0
    with popen(peers.ssh(path, "-tt", f"seq 1 {opt.lines}")) as ssh:
        ssh.stdin.close()
        first = os.read(ssh.stdout.fileno(), 65536)
        start = time.monotonic()
        total = len(first) + drain(ssh.stdout)
        took = time.monotonic() - start
        finish(ssh, "terminal")
    least = sum(len(str(n)) + 2 for n in range(1, opt.lines + 1))
    if total < least:
        raise Failure(f"terminal: {total} of {least} bytes arrived")
    yield "terminal output", "MB/s", total / took / 1e6
    if server:
        yield "CPU, terminal output", "s/GiB", (server.settled_cpu() - before) * GIB / total


def setup(peers, path, opt):
    """`ssh … true`, one after the other: as clients are, and with one key exchange for all.

    OpenSSH before 9.9 prefers sntrup761, which costs it some 50 ms a connection and which we do not offer.
    """
    server = peers.server_of(path)
    for kind, kex in (("set-up", None), ("set-up, curve25519", "curve25519-sha256")):
        times, before = [], server.settled_cpu() if server else 0
        for _ in range(opt.connects):
            start = time.monotonic()
            with popen(peers.ssh(path, "true", kex=kex)) as ssh:
                ssh.stdin.close()
                finish(ssh, "set-up")
            times.append((time.monotonic() - start) * 1000)
        yield kind, "ms", statistics.median(times)
        if server:
            yield f"CPU, {kind}", "ms", (server.settled_cpu() - before) * 1000 / opt.connects


def keystrokes(peers, path, opt):
    """One byte to a raw terminal and back."""
    with popen(peers.ssh(path, "-tt", "stty raw -echo; echo ready; exec cat"), bufsize=0) as ssh:
        seen = b""
        while b"ready" not in seen:
            seen += os.read(ssh.stdout.fileno(), 4096) or finish(ssh, "keystrokes")
        time.sleep(0.2)
        times = []
        for n in range(opt.keys + 20):
            byte = b"abcdefghij"[n % 10:n % 10 + 1]
            start = time.monotonic()
            os.write(ssh.stdin.fileno(), byte)
            while byte not in os.read(ssh.stdout.fileno(), 4096):
                pass
            times.append((time.monotonic() - start) * 1e6)
            time.sleep(0.004)
        ssh.kill()
    times = sorted(times[20:])
    yield "keystroke p50", "µs", times[len(times) // 2]
    yield "keystroke p99", "µs", times[len(times) * 99 // 100]


def memory(peers, path, opt):
    """Memory of an idle interactive session."""
    server = peers.server_of(path)
    if not server:
        return
    if server is peers.proxy:
        peers.restart()
        server = peers.proxy
    with popen(peers.ssh(path, "true")) as ssh:
        finish(ssh, "memory")
    server.settled_cpu()
    before, sessions = server.memory(), []
    try:
        while len(sessions) < opt.sessions:
            batch = [popen(peers.ssh(path, "-tt", "echo ready; exec cat"), bufsize=0)
                     for _ in range(min(8, opt.sessions - len(sessions)))]
            sessions += batch
            for ssh in batch:
                seen = b""
                while b"ready" not in seen:
                    seen += os.read(ssh.stdout.fileno(), 4096) or finish(ssh, "memory")
        server.settled_cpu()
        yield "idle session", "KiB", (server.memory() - before) / 1024 / len(sessions)
    finally:
        for ssh in sessions:
            ssh.kill()
        for ssh in sessions:
            ssh.wait(60)
            for pipe in (ssh.stdin, ssh.stdout, ssh.stderr):
                pipe.close()


def soak(peers, path, opt):
    """Many transfers without a stall or a lost exit status, and many short sessions; memory watched."""
    server = peers.server_of(path)
    if server is not peers.proxy:
        return
    alias = Peers.PATHS[path]
    with tempfile.TemporaryDirectory(dir=peers.dir) as folder:
        there, here, batch = Path(folder, "there"), Path(folder, "here"), Path(folder, "batch")
        there.write_bytes(os.urandom(MIB) * 128)
        for command in (f"get {there} {here}", f"put {there} {here}"):
            batch.write_text(command + "\n")
            times = []
            for n in range(opt.transfers):
                here.unlink(missing_ok=True)
                start = time.monotonic()
                done = subprocess.run(["sftp", "-F", peers.config, "-b", batch, alias], timeout=120,
                                      stdin=subprocess.DEVNULL, capture_output=True)
                times.append(time.monotonic() - start)
                if done.returncode or here.stat().st_size != there.stat().st_size:
                    raise Failure(f"{command[:3]} {n}: exit code {done.returncode}: {done.stderr[-300:]!r}")
            word = command[:3]
            yield f"sftp {word} of 128 MiB", "s", statistics.median(times)
            yield f"slowest sftp {word}", "s", max(times)
    yield from short_sessions(peers, path, opt, server)


def short_sessions(peers, path, opt, server):
    """Sessions that are over at once. By the user name with clients and a target that cost little, of this project's own
    protocol, so that a hundred thousand are done in minutes; a jump is what OpenSSH's client makes."""
    by_name = path == "user name"
    clients = peers.light_clients() if by_name else [peers.ssh(path, "true")]
    total = opt.short if by_name else min(opt.short, 1000)
    before = None
    for part in (total // 10, total):
        each = part // len(clients)
        start = time.monotonic()
        if by_name:
            running = [popen([*client, str(each)]) for client in clients]
            for client in running:
                with client:
                    client.stdin.close()
                    finish(client, "short sessions")
        else:
            for n in range(part):
                with popen(clients[0]) as ssh:
                    ssh.stdin.close()
                    finish(ssh, f"short session {n}")
        took = time.monotonic() - start
        server.settled_cpu()
        # What a server takes once it is warm is not growth.
        memory = server.memory()
        before = memory if before is None else before
    yield "short sessions", "a second", each * len(clients) / took
    yield "growth over short sessions", "KiB", (memory - before) / 1024


MEASURES = {"bulk": bulk, "terminal": terminal, "setup": setup, "keystrokes": keystrokes,
            "memory": memory, "files": files, "many": many, "forwards": forwards, "soak": soak}
# Large files of each protocol, both ways.
COPIES = [f"{name} {way}" for name, ways in (("sftp", ("get", "put")), ("scp", ("down", "up")), ("scp -O", ("down", "up")))
          for way in ways]
# What the project promises itself: figure, path, what to compare with (None: the figure itself), how, bar.
BARS = [
    *((f"{way}, aes256-gcm", "user name", other, ">=", bar)
      for way in ("download", "upload") for other, bar in (("direct", 0.95), ("ssh -J", 2.0))),
    *((f"{way}, aes256-gcm", "ProxyJump", "ssh -J", ">=", 1.2) for way in ("download", "upload")),
    *((f"{way}, client's defaults", "user name", "direct", ">=", 0.95) for way in ("download", "upload")),
    *((f"CPU, {way}, aes256-gcm", "user name", None, "<=", 1.0) for way in ("download", "upload")),
    ("terminal output", "user name", "direct", ">=", 0.95),
    ("CPU, terminal output", "user name", None, "<=", 12),
    ("set-up", "user name", "ssh -J", "<=", 0.55),
    ("CPU, set-up", "user name", None, "<=", 5),
    ("keystroke p50", "user name", "ssh -J", "<=", 1.0),
    ("keystroke p99", "user name", "direct", "+<=", 300),
    ("idle session", "user name", None, "<=", 100),
    *((name, "user name", other, ">=", bar) for name in COPIES for other, bar in (("direct", 0.85), ("ssh -J", 1.5))),
    ("small files by sftp, there and back", "user name", "direct", ">=", 0.8),
    ("small files by scp -O", "user name", "direct", ">=", 0.8),
    ("open forward", "user name", None, "<=", 32),
]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(values, path, other):
    """Median of the ratios taken round by round."""
    pairs = [(a, b) for a, b in zip(values.get(path, []), values.get(other, [])) if a is not None and b]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def median(values, path):
    kept = [v for v in values.get(path, []) if v is not None]
    return statistics.median(kept) if kept else None


def table(figures):
    yield "| figure | unit | " + " | ".join(PATHS) + " |"
    yield "|---|---|" + "---:|" * len(PATHS)
    for (figure, unit), values in figures.items():
        cells = []
        for path in PATHS:
            kept = [v for v in values.get(path, []) if v is not None]
            if not kept:
                cells.append("failed" if values.get(path) else "–")
                continue
            cell = f"{number(statistics.median(kept))} ({number(min(kept))}–{number(max(kept))})"
            times = [f"{r:.2f} × {other}" for other in ("direct", "ssh -J")
                     if path not in ("direct", other) and (r := ratio(values, path, other)) is not None]
            cells.append(", ".join([cell, *times]))
        yield f"| {figure} | {unit} | " + " | ".join(cells) + " |"


def bars(figures):
    by_name = {figure: values for (figure, _), values in figures.items()}
    for figure, path, other, relation, bar in BARS:
        values = by_name.get(figure, {})
        if relation == "+<=":
            pair = median(values, path), median(values, other)
            value, unit = None if None in pair else pair[0] - pair[1], f" more than {other}"
        elif other:
            value, unit = ratio(values, path, other), f" × {other}"
        else:
            value, unit = median(values, path), ""
        if value is None:
            continue
        met = value >= bar if relation == ">=" else value <= bar
        yield f"{'met   ' if met else 'MISSED'}  {figure}, {path}: {number(value)}{unit} (bar: {relation} {bar})"


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "?")
    client = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    return f"{os.cpu_count()} × {model}, Linux {os.uname().release}, {client}"


def measure(peers, names, opt):
    figures = {}
    for name in names:
        for round_ in range(opt.rounds):
            turn = round_ % len(PATHS)
            for path in PATHS[turn:] + PATHS[:turn]:
                if path not in opt.paths:
                    continue
                try:
                    for figure, unit, value in MEASURES[name](peers, path, opt):
                        print(f"{round_ + 1}/{opt.rounds} {path}: {figure} {number(value)} {unit}",
                              file=sys.stderr, flush=True)
                        figures.setdefault((figure, unit), {}).setdefault(path, []).append(value)
                except (Failure, OSError, subprocess.SubprocessError, ValueError) as fault:
                    print(f"{round_ + 1}/{opt.rounds} {path}: {name} FAILED: {fault}", file=sys.stderr, flush=True)
                    figures.setdefault((f"{name} failed", ""), {}).setdefault(path, []).append(None)
    return figures


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = [name for name in MEASURES if name != "soak"]
    parser.add_argument("--only", help=f"of {', '.join(MEASURES)}; separated by commas")
    parser.add_argument("--paths", default=",".join(PATHS), help="separated by commas (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=512, help="size of a bulk transfer")
    parser.add_argument("--lines", type=int, default=2_000_000, help="lines of terminal output")
    parser.add_argument("--connects", type=int, default=20, help="set-ups a round")
    parser.add_argument("--keys", type=int, default=500, help="keystrokes a round")
    parser.add_argument("--sessions", type=int, default=100, help="idle sessions for the memory figure")
    parser.add_argument("--file-mib", type=int, default=1024, help="size of a large file")
    parser.add_argument("--small", type=int, default=10_000, help="small files")
    parser.add_argument("--forwards", type=int, default=1000, help="forwarded connections open at once")
    parser.add_argument("--transfers", type=int, default=100, help="soak: transfers each way")
    parser.add_argument("--short", type=int, default=1000, help="soak: short sessions")
    parser.add_argument("--json", type=Path, help="write every value to this file")
    target = os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parent.parent / "target")
    parser.add_argument("--programs", default=Path(target, "release"), help="folder of bartizand and bartizan")
    opt = parser.parse_args()
    names = opt.only.split(",") if opt.only else default
    opt.paths = opt.paths.split(",")
    if unknown := [n for n in names if n not in MEASURES] + [p for p in opt.paths if p not in PATHS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    if names == ["soak"]:
        opt.rounds = 1
    return names, opt


def main():
    names, opt = options()
    with Peers(opt.programs) as peers:
        figures = measure(peers, names, opt)
    print(f"\n{machine()}\n{opt.rounds} rounds; median (least–most), ratios taken round by round.\n")
    print("\n".join(table(figures)))
    print("\n" + "\n".join(bars(figures)))
    if opt.json:
        values = [{"figure": f, "unit": u, "values": v} for (f, u), v in figures.items()]
        opt.json.write_text(json.dumps({"machine": machine(), "figures": values}, indent=1) + "\n")
    return 1 if any(None in v for values in figures.values() for v in values.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
