#!/usr/bin/env python3
"""Measures mail servers side by side: interleaved rounds, CPU per message of both ends, paired ratios.

    measure.py --rounds 7 --messages 20000 \\
        --server sink='smtp-sink -m 2000 127.0.0.1:{port} 4096' \\
        --server ehlo='ehlo serve --listen 127.0.0.1:{port} --store discard' \\
        --client 'smtp-source -d -s 100 -m {messages} -l 1000 127.0.0.1:{port}'

Every server is started once, on a free port of 127.0.0.1, and is ready when that port accepts. A round runs each client
against each server, one at a time, always in the same order (A B A B ...), so that slow drift of the machine hits all
alike; what is compared are the ratios within a round. `--client` may be given several times, with NAME= before the
command, to compare load generators against one server.

Commands are split like a shell's words, but no shell runs them. In each word {port} and {messages} are replaced. To pin a
process, put `taskset -c N` in front.

What the columns are:
  wall        seconds from before the client is started until it has been reaped; its start-up is part of it
  msg/s       messages / wall
  client us   user + system CPU of the client and its reaped children, from wait4(2), per message
  server us   CPU of the server, all threads and child processes, from its process CPU clock (nanoseconds), per message;
              read when the server has come to rest
On loopback the kernel does much of the receiver's TCP work in the sender's context and charges the sender for it: CPU per
message belongs to a pair of programs, and only pairs with the same other end compare.

Exit status: 0 measured, 1 a program failed (nothing is reported as a result), 2 usage.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import resource
import select
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HOST = "127.0.0.1"
READY_SECONDS = 20  # a server must accept within this
STOP_SECONDS = 10  # from SIGTERM to SIGKILL
REST_SECONDS = 1.0  # longest wait for a server to come to rest after a client
REST_STEP = 0.02
REST_CPU_NS = 200_000  # a server that uses less than this in a step is at rest
TAIL_BYTES = 4000  # of a failed program's output

METRICS = (
    ("wall_s", "wall s", "{:.3f}"),
    ("messages_per_second", "msg/s", "{:.0f}"),
    ("client_cpu_us_per_message", "client us", "{:.2f}"),
    ("server_cpu_us_per_message", "server us", "{:.2f}"),
)


class Failed(Exception):
    """A program that was measured did not do its part."""


def tail(log):
    """The end of a program's output, for an error message."""
    log.flush()
    size = os.fstat(log.fileno()).st_size
    text = os.pread(log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace").strip()
    return "\n    ".join(text.splitlines()) or "(no output)"


def outcome(code):
    """An exit code of subprocess in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def words(command, port, messages):
    """The argument vector of a command with its placeholders filled in."""
    fill = {"{port}": str(port), "{messages}": str(messages)}
    return [re.sub(r"\{(?:port|messages)\}", lambda m: fill[m.group()], word) for word in shlex.split(command)]


def start(argv, log):
    """Starts a program in a session of its own: Ctrl-C reaches only this script, and the session finds its children."""
    try:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        raise Failed(f"cannot start {argv[0]}: {error.strerror}") from error


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on (state, ppid, pgrp, session, ...), or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def session_members(leader):
    """The processes of the session that a started program leads."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)) and int(fields[3]) == leader and fields[0] != "Z":
            members.append(int(name))
    return members


def kill_session(leader):
    """Ends what is left of a session that was started here, each process by its id."""
    for pid in session_members(leader):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def cpu_ns(leader):
    """CPU time that a session has used: the live processes' clocks, and in clock ticks the children they have reaped."""
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in session_members(leader):
        # The clock of another process, as clock_getcpuclockid(3) makes it; it counts exited threads too.
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)
        except OSError as error:
            if pid == leader:
                raise Failed(f"cannot read the CPU clock of process {pid}: {error.strerror}") from error
        if fields := stat_fields(pid):
            total += (int(fields[13]) + int(fields[14])) * tick
    return total


def free_port():
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Server:
    """A server under measurement, running from construction to `stop`."""

    def __init__(self, name, command, messages):
        self.name = name
        self.port = free_port()
        self.argv = words(command, self.port, messages)
        self.log = tempfile.TemporaryFile()
        self.process = start(self.argv, self.log)

    def wait_ready(self):
        """Until the port accepts."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            self.check_alive()
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Failed(f"server {self.name} does not accept on port {self.port} after {READY_SECONDS} s:\n    {tail(self.log)}") from None
                time.sleep(0.02)
        # Had another program taken the port, it would have answered and ours be about to end.
        time.sleep(0.1)
        self.check_alive()

    def check_alive(self):
        """Fails when the server has ended."""
        if (code := self.process.poll()) is not None:
            raise Failed(f"server {self.name} {outcome(code)}: {shlex.join(self.argv)}\n    {tail(self.log)}")

    def cpu_at_rest(self):
        """The CPU time used so far, once what the last client left behind is done."""
        deadline = time.monotonic() + REST_SECONDS
        before = cpu_ns(self.process.pid)
        while True:
            time.sleep(REST_STEP)
            now = cpu_ns(self.process.pid)
            if now - before < REST_CPU_NS or time.monotonic() > deadline:
                return now
            before = now

    def stop(self):
        """SIGTERM by pid, SIGKILL for what is left; a note when the latter was needed."""
        pid = self.process.pid
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"measure.py: server {self.name} ignored SIGTERM for {STOP_SECONDS} s and was killed", file=sys.stderr)
                self.process.kill()
                self.process.wait()
        kill_session(pid)
        self.log.close()


def run_client(name, command, server, messages, timeout):
    """One client run against one server: a row of the result."""
    argv = words(command, server.port, messages)
    server.check_alive()
    with tempfile.TemporaryFile() as log:
        server_before = server.cpu_at_rest()
        began = time.monotonic()
        process = start(argv, log)
        try:
            descriptor = os.pidfd_open(process.pid)
            try:
                ended, _, _ = select.select([descriptor], [], [], timeout)
            finally:
                os.close(descriptor)
            if not ended:
                raise Failed(f"client {name} against {server.name} did not end within {timeout:g} s: {shlex.join(argv)}\n    {tail(log)}")
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            kill_session(process.pid)
            process.wait()
            raise
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failed(f"client {name} against {server.name} {outcome(process.returncode)}: {shlex.join(argv)}\n    {tail(log)}")
    server_after = server.cpu_at_rest()
    server.check_alive()
    return {
        "server": server.name,
        "client": name,
        "wall_s": wall,
        "messages_per_second": messages / wall,
        "client_cpu_us_per_message": (usage.ru_utime + usage.ru_stime) * 1e6 / messages,
        "server_cpu_us_per_message": (server_after - server_before) / 1000 / messages,
    }


def spread(values):
    """Median and range; None for a ratio that has no value in some round."""
    if any(value is None for value in values):
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(rows, pairs):
    """Medians per pair of server and client, and ratios to the first pair, taken round by round."""
    of = {pair: [row for row in rows if (row["server"], row["client"]) == pair] for pair in pairs}
    summary = [
        {"server": pair[0], "client": pair[1], **{key: spread([row[key] for row in of[pair]]) for key, _, _ in METRICS}}
        for pair in pairs
    ]
    ratios = []
    for pair in pairs[1:]:
        entry = {"server": pair[0], "client": pair[1], "to_server": pairs[0][0], "to_client": pairs[0][1]}
        for key, _, _ in METRICS:
            entry[key] = spread([a[key] / b[key] if b[key] else None for a, b in zip(of[pair], of[pairs[0]])])
        ratios.append(entry)
    return summary, ratios


def table(header, lines):
    """Columns as wide as they need, the first ones left-aligned."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    for line in [header, *lines]:
        print("  ".join(cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))).rstrip())


def print_result(result):
    """The result as text: each round, medians with their range, ratios with theirs."""
    titles = [title for _, title, _ in METRICS]
    table(
        ["round", "server", "client", *titles],
        [[str(row["round"]), row["server"], row["client"], *[form.format(row[key]) for key, _, form in METRICS]] for row in result["rounds"]],
    )

    def ranged(value, form):
        if value is None:
            return "-"
        return f"{form.format(value['median'])} [{form.format(value['min'])} .. {form.format(value['max'])}]"

    print()
    table(
        ["median", "server", "client", *titles],
        [["", row["server"], row["client"], *[ranged(row[key], form) for key, _, form in METRICS]] for row in result["summary"]],
    )
    if result["ratios"]:
        base = result["ratios"][0]
        print()
        table(
            [f"ratio to {base['to_server']}/{base['to_client']}", "server", "client", *titles],
            [["", row["server"], row["client"], *[ranged(row[key], "{:.3f}") for key, _, _ in METRICS]] for row in result["ratios"]],
        )


def parse(arguments):
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default 7)")
    parser.add_argument("--warmup", type=int, default=1, help="rounds before them that are not counted (default 1)")
    parser.add_argument("--messages", type=int, default=20000, help="messages per client run, for {messages} and per-message figures (default 20000)")
    parser.add_argument("--server", action="append", required=True, metavar="NAME=COMMAND", help="a server; the first is what ratios refer to")
    parser.add_argument("--client", action="append", required=True, metavar="[NAME=]COMMAND", help="a client")
    parser.add_argument("--timeout", type=float, default=120, help="seconds a client run may take (default 120)")
    parser.add_argument("--json", metavar="FILE", help="also write everything to FILE as JSON, - for standard output instead of the tables")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.warmup < 0 or options.messages < 1 or not options.timeout > 0:
        parser.error("--rounds, --messages and --timeout must be positive, --warmup not negative")

    def named(values, kind):
        found = {}
        for value in values:
            match = re.match(r"([A-Za-z0-9_.-]+)=(.*)", value, re.DOTALL)
            if not match and kind == "--server":
                parser.error(f"--server needs NAME=COMMAND: {value}")
            name, command = match.groups() if match else (None, value)
            try:
                argv = shlex.split(command)
            except ValueError as error:
                parser.error(f"{kind} {value}: {error}")
            if not argv:
                parser.error(f"{kind} has no command: {value}")
            if "{port}" not in command:
                parser.error(f"{kind} does not say where {{port}} goes: {command}")
            name = name or os.path.basename(argv[0])
            if name in found:
                parser.error(f"two of {kind} are called {name}")
            found[name] = command
        return found

    return options, named(options.server, "--server"), named(options.client, "--client")


def environment():
    """What the figures depend on besides the programs."""
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def measure(options, server_commands, client_commands):
    """Runs it all; the servers are stopped whatever happens."""
    servers = []
    rows = []
    before = environment()
    try:
        for name, command in server_commands.items():
            servers.append(Server(name, command, options.messages))
        for server in servers:
            server.wait_ready()
        for number in range(1 - options.warmup, options.rounds + 1):
            for server in servers:
                for name, command in client_commands.items():
                    row = run_client(name, command, server, options.messages, options.timeout)
                    if number > 0:
                        rows.append({"round": number, **row})
    finally:
        for server in servers:
            server.stop()
    pairs = [(server.name, name) for server in servers for name in client_commands]
    summary, ratios = summarize(rows, pairs)
    return {
        "schema": 1,
        "config": {"rounds": options.rounds, "warmup": options.warmup, "messages": options.messages, "servers": server_commands, "clients": client_commands},
        "environment": {**before, "load_average_after": os.getloadavg()[0]},
        "rounds": rows,
        "summary": summary,
        "ratios": ratios,
    }


def main(arguments):
    options, server_commands, client_commands = parse(arguments)
    if not os.path.exists("/proc/self/stat"):
        print("measure.py: needs Linux's /proc", file=sys.stderr)
        return 2
    # Thousands of sessions need thousands of descriptors; what is allowed without privilege is taken for all alike.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        result = measure(options, server_commands, client_commands)
    except Failed as failure:
        print(f"measure.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("measure.py: interrupted", file=sys.stderr)
        return 130
    if options.json == "-":
        json.dump(result, sys.stdout, indent=2)
        print()
    else:
        print_result(result)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(result, file, indent=2)
                file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
