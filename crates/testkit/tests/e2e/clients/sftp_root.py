"""Two targets by the SFTP root in one session of Paramiko: `sftp_root.py PORT KEY ACTION …`."""

import sys
import threading

import paramiko

port, keyfile, action, *words = sys.argv[1:]
client = paramiko.SSHClient()
# That the host key is right is tested with clients that know host certificates.
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
key = paramiko.Ed25519Key.from_private_key_file(keyfile)
client.connect("127.0.0.1", int(port), "alice", pkey=key, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()


def refused(code, text, act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        assert (code is None or error.errno == code) and text in str(error), repr(error)
    else:
        raise AssertionError(f"{act} was not refused")


def prefetch(file):
    """Asks for all of a file. The library does so in a thread, and sends packets in pieces without a lock: what is written
    meanwhile may come into the middle of a request."""
    before = set(threading.enumerate())
    file.prefetch()
    for thread in set(threading.enumerate()) - before:
        thread.join()


def copy(source, sink, link):
    """Copies by reading and writing at once, and tries what goes across in one request."""
    with sftp.open(source, "rb") as near, sftp.open(sink, "wb") as far:
        prefetch(near)
        far.set_pipelined(True)
        while block := near.read(32768):
            far.write(block)
    assert sftp.stat(source).st_size == sftp.stat(sink).st_size
    across = "different places"
    refused(None, across, sftp.rename, source, sink + "-renamed")
    refused(None, across, sftp.posix_rename, source, sink + "-renamed")
    refused(None, "another place", sftp.symlink, source, sink + "-link")
    # A link as it is written, and as it is read.
    sftp.symlink(sink, link)
    assert sftp.readlink(link) == sink, sftp.readlink(link)
    assert sftp.normalize(link) == sink, sftp.normalize(link)
    assert sftp.listdir("/") == ["db-1", "web-1"], sftp.listdir("/")
    refused(13, "only lists", sftp.mkdir, "/new")


def lose(web, db):
    """The target of the first file dies while it is open; the second one's does not."""
    with sftp.open(web, "rb") as lost, sftp.open(db, "rb") as kept:
        assert lost.read(1) and kept.read(1)
        print("open", flush=True)
        sys.stdin.readline()
        refused(None, "", lost.stat)
        assert kept.read(1)
        # Entered again.
        assert sftp.stat(web).st_size == 5
        print("again", flush=True)


{"copy": copy, "lose": lose}[action](*words)
client.close()
