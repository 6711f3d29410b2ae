# Sends the message on the standard input by smtplib, as the JSON in the first argument says.

import email
import email.policy
import json
import smtplib
import ssl
import sys

order = json.loads(sys.argv[1])
letter = sys.stdin.buffer.read()
context = ssl._create_unverified_context()
peer = dict(host="127.0.0.1", port=order["port"], local_hostname="client.example", timeout=30)

if order["tls"]:
    server = smtplib.SMTP_SSL(**peer, context=context)
elif order["lmtp"]:
    server = smtplib.LMTP(**peer)
else:
    server = smtplib.SMTP(**peer)
if order["starttls"]:
    server.starttls(context=context)

if order["mechanism"]:
    server.ehlo()
    server.user, server.password = order["user"], order["password"]
    method = "auth_" + order["mechanism"].lower().replace("-", "_")
    server.auth(order["mechanism"], getattr(server, method), initial_response_ok=order["initial_response"])

if order["utf8"]:
    # It finds out by itself what the addresses need.
    message = email.message_from_bytes(letter, policy=email.policy.SMTPUTF8)
    refused = server.send_message(message, order["from"], order["to"])
else:
    mail, rcpt = ["BODY=8BITMIME"], []
    if order["dsn"]:
        mail += ["RET=HDRS", "ENVID=interop+2B1"]
        rcpt += ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;list+2Bdev@lists.example"]
    refused = server.sendmail(order["from"], order["to"], letter, mail, rcpt)
server.quit()
sys.exit(str(refused) if refused else 0)
