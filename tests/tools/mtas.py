"""Real mail servers as destinations, each on a machine of its own (tests/tools/machine).

To a test, Mta(name, where, address, port) is a server that takes all mail for <name>.example and
stores it; stored() reads it. On the machine this file is the program that writes the configuration
of the server and becomes it.

The servers accept what they are sent as far as they can: no checks of clients, no limits below 200
MB, no name is looked up.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = TOP / "build" / "peers"
MACHINE = TOP / "tests" / "tools" / "machine"
HERE = pathlib.Path("/here") # on the machine
LIMIT = 200_000_000
START_SECONDS = 30
USERS = ("postfix", "Debian-exim", "opensmtpd", "opensmtpq", "dovecot", "dovenull", "vmail")
GROUPS = (*USERS, "postdrop")
FIRST_ID = 970 # of system accounts; nothing else on the machine uses those from here on


# ---- on the machine

def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def become(*command):
    os.execvp(command[0], command)


def install_postfix(main_cf, listen, services=""):
    """Writes its configuration. `listen` is what stands for the service smtp in master.cf, as
    address:port; `services` are more lines of it."""
    etc = pathlib.Path("/etc/postfix")
    write(etc / "main.cf", main_cf)
    # Debian's; y in the fifth column: chroot, for which nothing is prepared here.
    text = re.sub(r"^(\w+ +\w+(?: +\S+){2} +)y ", r"\1n ",
                  pathlib.Path("/usr/share/postfix/master.cf.dist").read_text(), flags=re.M)
    text = re.sub(r"^smtp( +inet)", rf"{listen}\1", text, flags=re.M)
    (etc / "master.cf").write_text(text + services)
    shutil.copy("/usr/share/postfix/dynamicmaps.cf", etc)
    os.makedirs("/var/lib/postfix", exist_ok=True)
    shutil.chown("/var/lib/postfix", "postfix")
    for program in ("postqueue", "postdrop"): # dpkg -x knows no group of ours
        shutil.chown(f"/usr/sbin/{program}", group="postdrop")
        os.chmod(f"/usr/sbin/{program}", 0o2755)


def postfix(address, port):
    ident = os.stat(HERE / "mail")
    main_cf = textwrap.dedent(f"""\
        compatibility_level = 3.6
        myhostname = mx.postfix.example
        mydestination =
        alias_maps =
        inet_interfaces = 127.0.0.1
        inet_protocols = ipv4
        smtpd_peername_lookup = no
        local_header_rewrite_clients =
        in_flow_delay = 0
        message_size_limit = {LIMIT}
        virtual_mailbox_limit = 0
        virtual_mailbox_domains = postfix.example
        virtual_mailbox_base = /here/mail
        virtual_mailbox_maps = static:box/
        virtual_uid_maps = static:{ident.st_uid}
        virtual_gid_maps = static:{ident.st_gid}
        maillog_file_prefixes = /here
        maillog_file = /here/log
        """)
    install_postfix(main_cf + (HERE / "more").read_text(), f"{address}:{port}")
    become("postfix", "start-fg")


def exim(address, port):
    write("/etc/exim4/exim4.conf", f"""\
        primary_hostname = mx.exim.example
        local_interfaces = {address}
        daemon_smtp_ports = {port}
        log_file_path = /here/%slog
        acl_smtp_rcpt = accept
        tls_advertise_hosts =
        chunking_advertise_hosts = *
        smtputf8_advertise_hosts = *
        rfc1413_hosts =
        message_size_limit = {LIMIT}
        # Delivers everything at once, whatever a connection brings.
        smtp_accept_queue_per_connection = 0
        smtp_accept_max = 100
        # By default 1000 messages.
        smtp_accept_max_per_connection = 100
        begin routers
        all:
          driver = accept
          transport = store
        begin transports
        store:
          driver = appendfile
          directory = /here/mail/box
          maildir_format
          delivery_date_add
          envelope_to_add
          return_path_add
          user = vmail
          group = vmail
        """)
    for directory in ("/var/spool/exim4", "/var/spool/exim4/db", "/run/exim4"):
        os.makedirs(directory, exist_ok=True)
        shutil.chown(directory, "Debian-exim", "Debian-exim")
    shutil.chown(HERE, "Debian-exim", "Debian-exim") # for its log
    become("exim4", "-bdf", "-q1m")


def opensmtpd(address, port):
    write("/etc/smtpd.conf", f"""\
        smtp max-message-size {LIMIT}
        listen on {address} port {port} hostname mx.opensmtpd.example
        table everybody {{ "@" = vmail }}
        action store maildir "/here/mail/box" virtual <everybody>
        match from any for domain opensmtpd.example action store
        """)
    os.makedirs("/var/lib/opensmtpd/empty", exist_ok=True)
    become("smtpd", "-d", "-f", "/etc/smtpd.conf")


def dovecot(address, port):
    write("/etc/dovecot/dovecot.conf", f"""\
        protocols = lmtp
        ssl = no
        log_path = /here/log
        hostname = mx.dovecot.example
        mail_location = maildir:/here/mail/box
        first_valid_uid = {FIRST_ID}
        passdb {{
          driver = static
        }}
        userdb {{
          driver = static
          args = allow_all_users=yes uid=vmail gid=vmail home=/here/mail
        }}
        service lmtp {{
          inet_listener lmtp {{
            address = {address}
            port = {port}
          }}
          unix_listener /here/lmtp {{
            mode = 0666
          }}
        }}
        """)
    become("dovecot", "-F")


def aiosmtpd(address, port):
    import asyncio # pylint: disable=import-outside-toplevel
    from aiosmtpd.smtp import SMTP # pylint: disable=import-outside-toplevel,import-error

    class Store:
        """As a Maildir does it: a file has its name when it is whole."""
        count = 0

        async def handle_DATA(self, _server, _session, envelope): # pylint: disable=invalid-name
            self.count += 1
            path = HERE / "mail" / "box" / "tmp" / str(self.count)
            path.write_bytes(envelope.original_content)
            path.rename(HERE / "mail" / "box" / "new" / path.name)
            return "250 2.0.0 stored"

    async def serve():
        for d in ("tmp", "new"):
            (HERE / "mail" / "box" / d).mkdir(parents=True)
        store = Store()
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(store, data_size_limit=LIMIT, enable_SMTPUTF8=True,
                         hostname="mx.aiosmtpd.example"), address, port)
        await server.serve_forever()
    asyncio.run(serve())


# What of build/peers is laid over the machine, and how to become the server.
KINDS = {"postfix": ("usr/sbin/postfix", postfix), "exim": ("exim/usr/sbin/exim4", exim),
         "opensmtpd": ("opensmtpd/usr/sbin/smtpd", opensmtpd),
         "dovecot": ("dovecot/usr/sbin/dovecot", dovecot),
         "aiosmtpd": ("aiosmtpd/usr/lib/python3/dist-packages/aiosmtpd/smtp.py", aiosmtpd)}


# ---- outside

def packages(name):
    """Where the packages of a server lie unpacked, or None."""
    program = PEERS / KINDS[name][0]
    return PEERS / KINDS[name][0].partition("usr/")[0] if program.exists() else None


def why_not(name):
    """Why this server cannot run here, or ""."""
    if os.geteuid() != 0:
        return "needs root: servers run on machines of their own"
    return "" if packages(name) else f"no {name}; tests/tools/need check unpacks one"


def accounts(where):
    """The users and groups that servers expect, for a machine."""
    ids = {name: FIRST_ID + i for i, name in enumerate(GROUPS)}
    (where / "passwd").write_text("".join(
        f"{name}:x:{ids[name]}:{ids[name]}::/nonexistent:/bin/sh\n" for name in USERS))
    (where / "group").write_text("".join(f"{name}:x:{i}:\n" for name, i in ids.items()))
    return ids


class Mta:
    """A running server. `where` is made, and holds its mail and its log. `more` are settings that
    Postfix has besides."""

    def __init__(self, name, where, address, port, more=""):
        self.name, self.where, self.address, self.port = name, where, address, port
        self.domain = f"{name}.example"
        where.mkdir()
        where.chmod(0o755) # servers become other users
        (where / "mail").mkdir()
        (where / "more").write_text(more)
        vmail = accounts(where)["vmail"]
        os.chown(where / "mail", vmail, vmail)
        with open(where / "output", "wb") as output:
            self.process = subprocess.Popen( # which does not outlive us
                ["setpriv", "--pdeathsig", "KILL", str(MACHINE), str(where), str(packages(name)),
                 "/usr/bin/python3", "-B", "/sources/tests/tools/mtas.py", name, address, str(port)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def wait(self):
        """Until it greets."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection((self.address, self.port), 5) as s:
                    if s.makefile("rb").readline().startswith(b"220 "):
                        s.sendall(b"QUIT\r\n")
                        return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self.name} does not greet: {self.logged()}")

    def logged(self):
        return "".join(p.read_text(errors="replace") for p in
                       (self.where / "output", *sorted(self.where.glob("*log"))))

    def files(self):
        """Those of its mail, whole."""
        return [p for d in ("new", "cur") for p in (self.where / "mail" / "box" / d).glob("*")]

    def stored(self):
        return [p.read_bytes() for p in self.files()]

    def clear(self):
        for path in self.files():
            path.unlink()

    def close(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    os.umask(0o022)
    write("/etc/resolv.conf", "nameserver 127.0.0.1\n") # where nobody is
    KINDS[sys.argv[1]][1](sys.argv[2], sys.argv[3])
