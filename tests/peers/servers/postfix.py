#!/usr/bin/env python3
"""A Postfix that accepts, queues for good, and delivers nothing: what taking a message safely costs it.

    postfix.py PORT FOLDER [NAME=VALUE ...]

makes a configuration and a queue in FOLDER, which is made if it isn't there, and becomes Postfix's master daemon on that port of
127.0.0.1. The disk that is measured is the one of FOLDER. Further settings of main.cf may follow. It takes root, whom Postfix needs to
give its files to others, and Postfix from `setup.sh`: $EHLO_PEERS, or what its README says.

Every message goes into the queue `hold`: smtpd hands it to cleanup, which writes and syncs the queue file before smtpd says 250, as for
any other message; the queue manager never hears of it. So nothing is measured but accepting, and Postfix has less to do than ever in
production. What else would slow it down is off: the pause of a second when mail comes in faster than it goes out (in_flow_delay), the
limits for each client, with the daemon that counts for them, looking up names, and the check of recipients.
"""

import os
import pathlib
import subprocess
import sys

MAIL, GAMES = 8, 60  # Debian's; Postfix wants a group that is nobody else's, and games has nothing to do

SERVICES = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
postlog unix-dgram n - n - 1 postlogd
"""

SETTINGS = """\
compatibility_level = 3.6
queue_directory = {base}/spool
data_directory = {base}/data
meta_directory = {base}/conf
maillog_file = {base}/maillog
maillog_file_prefixes = {base}
mail_owner = mail
setgid_group = games
default_privs = nobody
import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH
export_environment = TZ LD_LIBRARY_PATH
myhostname = localhost.localdomain
mydestination = localhost.localdomain
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_restrictions = check_client_access static:HOLD
in_flow_delay = 0
"""


def peers():
    """Where setup.sh has put the programs."""
    if folder := os.environ.get("EHLO_PEERS"):
        return pathlib.Path(folder)
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "ehlo-peers"


def queue(spool):
    """Makes the folders of a queue, with the owners that Postfix wants."""
    private = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()
    for name, group, mode in [*((name, 0, 0o700) for name in private), ("maildrop", GAMES, 0o730), ("public", GAMES, 0o710)]:
        folder = spool / name
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, MAIL, group)
        folder.chmod(mode)
    (spool / "pid").mkdir(exist_ok=True)


def main(arguments):
    if len(arguments) < 2 or not arguments[0].isdigit() or not all("=" in setting for setting in arguments[2:]):
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("postfix.py: Postfix has to be started by root", file=sys.stderr)
        return 1
    master = peers() / "bin" / "postfix"
    if not master.exists():
        print(f"postfix.py: there is no {master}; run tests/peers/setup.sh", file=sys.stderr)
        return 1
    base = pathlib.Path(arguments[1]).absolute()
    queue(base / "spool")
    for name in ("data", "conf"):
        (base / name).mkdir(exist_ok=True)
    os.chown(base / "data", MAIL, -1)
    paths = subprocess.run([master, "paths"], check=True, capture_output=True, text=True).stdout
    further = "".join(f"{setting}\n" for setting in arguments[2:])
    (base / "conf" / "main.cf").write_text(SETTINGS.format(base=base) + paths + further, encoding="utf-8")
    # As many processes as sessions: each serves one at a time.
    (base / "conf" / "master.cf").write_text(SERVICES.format(port=arguments[0], processes=1000), encoding="utf-8")
    os.execve(master, [str(master), "-c", str(base / "conf"), "-d"], {**os.environ, "MAIL_CONFIG": str(base / "conf")})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
