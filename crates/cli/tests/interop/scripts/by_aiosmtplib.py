# Sends the message on the standard input by aiosmtplib, as the JSON in the first argument says.

import asyncio
import email
import email.policy
import json
import ssl
import sys

import aiosmtplib


async def main():
    order = json.loads(sys.argv[1])
    letter = sys.stdin.buffer.read()
    context = ssl._create_unverified_context()
    server = aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=order["port"],
        local_hostname="client.example",
        use_tls=order["tls"],
        start_tls=order["starttls"],
        tls_context=context if order["tls"] or order["starttls"] else None,
        timeout=30,
    )
    await server.connect()
    if order["mechanism"]:
        method = "auth_" + order["mechanism"].lower().replace("-", "")
        await server.ehlo()
        await getattr(server, method)(order["user"], order["password"])
    if order["utf8"]:
        # It finds out by itself what the addresses need.
        message = email.message_from_bytes(letter, policy=email.policy.SMTPUTF8)
        refused, _ = await server.send_message(message, sender=order["from"], recipients=order["to"])
    else:
        mail, rcpt = ["BODY=8BITMIME"], []
        if order["dsn"]:
            mail += ["RET=HDRS", "ENVID=interop+2B1"]
            rcpt += ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;list+2Bdev@lists.example"]
        refused, _ = await server.sendmail(order["from"], order["to"], letter, mail_options=mail, rcpt_options=rcpt)
    await server.quit()
    sys.exit(str(refused) if refused else 0)


asyncio.run(main())
