#!/usr/bin/env python3
"""smtplib_send.py ADDRESS:PORT CONNECTIONS MESSAGES OCTETS: sends by smtplib, one thread for each connection."""

import smtplib
import sys
import threading
import time

FROM, TO = "ada@client.example", "bob@mx.example"


def message(octets):
    """A message of that size, in lines of 72 octets."""
    text = b"From: <ada@client.example>\r\nTo: <bob@mx.example>\r\nSubject: measured\r\n\r\n"
    while len(text) + 2 < octets:
        text += b"x" * min(octets - len(text) - 2, 70) + b"\r\n"
    return text


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    connections, messages, octets = map(int, sys.argv[2:])
    text = message(octets)
    ready = threading.Barrier(connections + 1)
    accepted = []

    def work(count):
        with smtplib.SMTP(host, int(port), "client.example", timeout=60) as client:
            client.sendmail(FROM, [TO], text)
            ready.wait()
            for _ in range(count):
                client.sendmail(FROM, [TO], text)
            accepted.append(count)
            ready.wait()

    counts = [messages // connections + (i < messages % connections) for i in range(connections)]
    threads = [threading.Thread(target=work, args=(count,), daemon=True) for count in counts]
    for thread in threads:
        thread.start()
    ready.wait(60)
    began = time.monotonic()
    ready.wait(600)
    took = time.monotonic() - began
    if sum(accepted) != messages:
        sys.exit(f"{sum(accepted)} of {messages} messages were accepted")
    print(messages, f"{took:.6f}")


main()
