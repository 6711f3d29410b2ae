#!/usr/bin/env python3
"""Measures what an idle connection costs a server: the slope of its resident memory over many connections.

    idle.py --at 2000,10000,18000 'ehlo serve --listen 127.0.0.1:{port} --store discard --max-connections 19000'
    idle.py --tls --at 200,1000,2000 'ehlo serve --listen 127.0.0.1:0 --listen-tls 127.0.0.1:{port} --tls self-signed --store discard'

Connections are opened to {port}, a free port of 127.0.0.1, greeted, said EHLO on, and left. At each of the numbers given the
server's resident memory (VmRSS) is read once it has come to rest. A slope does not hold what a server needs before anybody
connects; memory of the kernel's sockets is in no process.

Exit status: 0 measured, 1 a program failed, 2 usage.
"""

import argparse
import re
import resource
import shlex
import socket
import ssl
import subprocess
import sys
import time

HOST = "127.0.0.1"
READY_SECONDS = 20
REST_SECONDS = 2
FILES = 20_000


def free_port():
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def resident(pid):
    """Octets of a process that are in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024


def connect(port, tls):
    """A connection that has said EHLO."""
    link = socket.create_connection((HOST, port), timeout=30)
    if tls:
        link = tls.wrap_socket(link)
    for line in (b"EHLO idle.example\r\n", b""):
        reply = link.recv(4096)
        if not reply.startswith(b"2"):
            raise OSError(f"the server said {reply!r}")
        if line:
            link.sendall(line)
    return link


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", default="2000,10000,18000", help="numbers of connections, rising")
    parser.add_argument("--tls", action="store_true", help="connections begin with TLS")
    parser.add_argument("command", help="the server, with {port} in it")
    arguments = parser.parse_args()
    marks = [int(mark) for mark in arguments.at.split(",")]
    files = min(FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    tls = ssl._create_unverified_context() if arguments.tls else None  # it is ourselves
    port = free_port()
    server = subprocess.Popen(
        shlex.split(arguments.command.replace("{port}", str(port))), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection((HOST, port)).close()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                time.sleep(0.05)
        links, seen = [], []
        for mark in marks:
            while len(links) < mark:
                links.append(connect(port, tls))
            time.sleep(REST_SECONDS)
            seen.append((mark, resident(server.pid)))
            print(f"{mark:7} connections  {seen[-1][1] / 1024:10.0f} KiB")
        (few, least), (many, most) = seen[0], seen[-1]
        print(f"each one more: {(most - least) / (many - few):.0f} bytes")
    except OSError as error:
        print(f"idle.py: {error}", file=sys.stderr)
        return 1
    finally:
        server.terminate()
        server.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
