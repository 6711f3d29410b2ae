#!/usr/bin/env python3
"""Measures mail clients side by side against one server: interleaved rounds, messages per second, CPU per message, paired ratios.

    clients.py --rounds 5 --server 'ehlo serve --listen 127.0.0.1:{port} --store discard' \\
        --proxy 'delay 1000 127.0.0.1:{port} 127.0.0.1:{echo}' --case loopback,1,1024 --case delay,1,1024 \\
        --client ehlo='sender send 127.0.0.1:{port} {connections} {messages} {octets}' \\
        --client smtplib='tests/peers/clients/smtplib_send.py 127.0.0.1:{port} {connections} {messages} {octets}'

A case is PATH,CONNECTIONS,OCTETS, and PATH is `loopback` or `delay`: through the proxy, which prints two ports, that of the server and that of an
echo on the other side. A client prints how many messages were accepted and the seconds between the first and the last; connecting and starting up
are not in them. Each client first runs with few messages, which tells how many it sends in --seconds; so slow clients do not take for ever.
Then a round runs each client once, in turn (A B C A B C ...), and what is compared are the ratios within a round.

  msg/s    messages / seconds, as the client tells
  cpu us   user + system CPU of the client, from wait4(2), per message; what the first, short run took is subtracted from both
  null     an exchange of one octet through the proxy, in milliseconds: median and 90th percentile of the same run, measured once a round

Exit status: 0 measured, 1 a program failed, 2 usage.
"""

import argparse
import os
import re
import select
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import measure
from measure import HOST, Failed, outcome, spread, table, tail

FEW = 5  # messages of each connection in the first run
MOST = 50_000
EXCHANGES = 100
TIMEOUT = 120


def filled(command, **values):
    """The argument vector of a command with its placeholders filled in."""
    return [re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), word) for word in shlex.split(command)]


def echo():
    """The port of an echo that serves as long as this process."""
    listener = socket.create_server((HOST, 0))

    def serve(stream):
        with stream:
            while octets := stream.recv(64):
                stream.sendall(octets)

    def accept():
        while True:
            stream, _ = listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def null_exchanges(port):
    """Seconds of exchanges of one octet."""
    took = []
    with socket.create_connection((HOST, port), timeout=10) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(EXCHANGES):
            began = time.monotonic()
            stream.sendall(b".")
            stream.recv(1)
            took.append(time.monotonic() - began)
    return took


def run(name, argv):
    """Runs a client: messages, their seconds, and the CPU seconds of all."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=printed, stderr=log, start_new_session=True)
        except OSError as error:
            raise Failed(f"cannot start {argv[0]}: {error.strerror}") from error
        descriptor = os.pidfd_open(process.pid)
        try:
            if not select.select([descriptor], [], [], TIMEOUT)[0]:
                raise Failed(f"client {name} did not end within {TIMEOUT} s: {shlex.join(argv)}\n    {tail(log)}")
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            measure.kill_session(process.pid)
            process.wait()
            raise
        finally:
            os.close(descriptor)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failed(f"client {name} {outcome(process.returncode)}: {shlex.join(argv)}\n    {tail(log)}")
        words = os.pread(printed.fileno(), 100, 0).split()
    if len(words) != 2:
        raise Failed(f"client {name} did not print a count and seconds: {shlex.join(argv)}")
    return int(words[0]), float(words[1]), usage.ru_utime + usage.ru_stime


def measure_case(case, port, echo_port, options):
    """All rounds of one case: rows, and what the null exchanges took."""
    _, connections, octets = case
    few = FEW * connections
    plan = {}
    for name, command in options.client.items():
        arguments = {"port": port, "connections": connections, "octets": octets}
        messages, took, cpu = run(name, filled(command, messages=few, **arguments))
        if messages != few:
            raise Failed(f"client {name} sent {messages} messages of {few}")
        count = min(max(int(messages / took * options.seconds), 3 * few), MOST)
        plan[name] = (filled(command, messages=count, **arguments), count, cpu)
    rows, nulls = [], []
    for _ in range(options.rounds):
        if echo_port:
            nulls += null_exchanges(echo_port)
        for name, (argv, count, first) in plan.items():
            messages, took, cpu = run(name, argv)
            if messages != count:
                raise Failed(f"client {name} sent {messages} messages of {count}")
            rows.append({"client": name, "rate": messages / took, "cpu": max(cpu - first, 0) * 1e6 / (count - few)})
    return rows, nulls


def ranged(value, form):
    """A median with its range."""
    return "-" if value is None else f"{form.format(value['median'])} [{form.format(value['min'])} .. {form.format(value['max'])}]"


def show(case, rows, nulls):
    """One case as text."""
    path, connections, octets = case
    title = f"{path}, {connections} connections, {octets} octets"
    if nulls:
        nulls.sort()
        title += f"; null exchange {statistics.median(nulls) * 1000:.2f} ms, 90th percentile {nulls[len(nulls) * 9 // 10] * 1000:.2f} ms"
    print(title, flush=True)
    names = list(dict.fromkeys(row["client"] for row in rows))
    of = {name: [row for row in rows if row["client"] == name] for name in names}
    lines = []
    for name in names:
        ratios = [
            spread([row[key] / base[key] if base[key] else None for row, base in zip(of[name], of[names[0]])])
            for key in ("rate", "cpu")
        ]
        lines.append([
            name, "", "",
            ranged(spread([row["rate"] for row in of[name]]), "{:.0f}"), ranged(ratios[0], "{:.3f}"),
            ranged(spread([row["cpu"] for row in of[name]]), "{:.1f}"), ranged(ratios[1], "{:.2f}"),
        ])
    table(["client", "", "", "msg/s", f"to {names[0]}", "cpu us", f"to {names[0]}"], lines)
    print(flush=True)


def parse(arguments):
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (default 5)")
    parser.add_argument("--seconds", type=float, default=0.7, help="about how long a client runs (default 0.7)")
    parser.add_argument("--server", required=True, metavar="COMMAND", help="the server, with {port}")
    parser.add_argument("--proxy", metavar="COMMAND", help="what brings the delay, with {port} and {echo}; it prints two ports, and ends with its standard input")
    parser.add_argument("--case", action="append", required=True, metavar="PATH,CONNECTIONS,OCTETS", help="what is measured, again and again")
    parser.add_argument("--client", action="append", required=True, metavar="NAME=COMMAND", help="a client, with {port}, {connections}, {messages} and {octets}; the first is what ratios refer to")
    options = parser.parse_args(arguments)
    cases = []
    for text in options.case:
        match = re.fullmatch(r"(loopback|delay),([1-9]\d*),([1-9]\d*)", text)
        if not match or (match[1] == "delay" and not options.proxy):
            parser.error(f"--case wants loopback|delay,CONNECTIONS,OCTETS, and delay a --proxy: {text}")
        cases.append((match[1], int(match[2]), int(match[3])))
    clients = {}
    for text in options.client:
        name, equals, command = text.partition("=")
        if not equals or name in clients or "{messages}" not in command:
            parser.error(f"--client wants NAME=COMMAND with {{messages}}, each name once: {text}")
        clients[name] = command
    options.case, options.client = cases, clients
    return options


def main(arguments):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = proxy = None
    ports = {"loopback": (None, None)}
    try:
        server = measure.Server("server", options.server, 0)
        server.wait_ready()
        ports["loopback"] = (server.port, None)
        if options.proxy:
            argv = filled(options.proxy, port=server.port, echo=echo())
            proxy = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            ports["delay"] = tuple(int(word) for word in proxy.stdout.readline().split())
        for case in options.case:
            show(case, *measure_case(case, *ports[case[0]], options))
        print(f"load average {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} processors")
    except Failed as failure:
        print(f"clients.py: {failure}", file=sys.stderr)
        return 1
    finally:
        if proxy:
            proxy.stdin.close()
            proxy.wait(10)
        if server:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
