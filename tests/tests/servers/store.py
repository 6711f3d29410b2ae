"""A server of aiosmtpd that stores what it gets, octet for octet: a folder for each recipient, a file for each message.

    store.py FOLDER CLEAR_PORT TLS_PORT CHAIN KEY USER PASSWORD MAILBOX...
"""

import asyncio
import os
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

FOLDER, CLEAR, TLS, CHAIN, KEY, USER, PASSWORD, *MAILBOXES = sys.argv[1:]


class Handler:
    number = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        name, _, domain = address.partition("@")
        if name == "later":
            return "450 4.2.1 Greylisted"
        if name not in MAILBOXES or domain != "mx.example":
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            Handler.number += 1
            folder = pathlib.Path(FOLDER, address.partition("@")[0])
            folder.mkdir(parents=True, exist_ok=True)
            hidden = folder / f".{self.number}"
            hidden.write_bytes(envelope.original_content)
            hidden.rename(folder / str(self.number))
        return "250 Stored"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CHAIN, KEY)
    loop = asyncio.get_running_loop()

    def server(starttls):
        return SMTP(
            Handler(),
            hostname="mx.example",
            loop=loop,
            enable_SMTPUTF8=True,
            tls_context=tls if starttls else None,
            auth_require_tls=starttls,
            authenticator=authenticate,
        )

    await loop.create_server(lambda: server(False), "127.0.0.1", int(TLS), ssl=tls)
    await loop.create_server(lambda: server(True), "127.0.0.1", int(CLEAR))
    await asyncio.sleep(900)  # nobody needs it for that long


os.umask(0o077)
asyncio.run(main())
