"""Real mail servers as destinations and as clients, each on a machine of its own (peers.py).

To a test, Mta(name, where, address, port) is a server that takes all mail for <name>.example and
stores it; stored() reads it. command(role, ...) is for a Peer that takes another role. On the machine
this file is the program that writes the configuration of the server and becomes it.

Destinations accept what they are sent as far as they can: no checks of clients, no limits below 200
MB, no name is looked up.
"""
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import textwrap

import patience
import peers

HERE = pathlib.Path("/here") # on the machine
LIMIT = 200_000_000


# ---- on the machine

def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def become(*words):
    os.execvp(words[0], words)


def install_postfix(main_cf, listen="smtp", services=""):
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


def install_exim(conf):
    write("/etc/exim4/exim4.conf", conf)
    for directory in ("/var/spool/exim4", "/var/spool/exim4/db", "/run/exim4"):
        os.makedirs(directory, exist_ok=True)
        shutil.chown(directory, "Debian-exim", "Debian-exim")
    shutil.chown(HERE, "Debian-exim", "Debian-exim") # for its log
    os.chmod("/usr/sbin/exim4", 0o4755) # to deliver; outside, it could be anybody's way to root


# ---- as destinations

def make_mail():
    """The directory for it; the account that it belongs to."""
    (HERE / "mail").mkdir()
    shutil.chown(HERE / "mail", "vmail", "vmail")
    return pwd.getpwnam("vmail")


def postfix(address, port):
    owner = make_mail()
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
        virtual_uid_maps = static:{owner.pw_uid}
        virtual_gid_maps = static:{owner.pw_gid}
        maillog_file_prefixes = /here
        maillog_file = /here/log
        """)
    install_postfix(main_cf + (HERE / "more").read_text(), f"{address}:{port}")
    become("postfix", "start-fg")


def exim(address, port):
    make_mail()
    install_exim(f"""\
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
    become("exim4", "-bdf", "-q1m")


def opensmtpd(address, port):
    make_mail()
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
    owner = make_mail()
    write("/etc/dovecot/dovecot.conf", f"""\
        protocols = lmtp
        ssl = no
        log_path = /here/log
        hostname = mx.dovecot.example
        mail_location = maildir:/here/mail/box
        first_valid_uid = {owner.pw_uid}
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


# ---- as clients: each sends what is on standard input, with the settings of the file conf

def send_by_postfix(sender, recipient):
    """Runs until it is killed."""
    install_postfix((HERE / "conf").read_text())
    subprocess.run(["postfix", "check"], check=True) # makes the queue
    subprocess.run(["sendmail", "-i", "-f", sender, recipient], check=True)
    become("postfix", "start-fg")


def send_by_exim(sender, recipient):
    install_exim((HERE / "conf").read_text())
    become("exim4", "-odf", "-i", "-f", sender, recipient)


ROLES = {f.__name__: f for f in (postfix, exim, opensmtpd, dovecot, aiosmtpd, send_by_postfix,
                                 send_by_exim)}


# ---- outside

def command(role, *arguments):
    """What a machine runs to take this role."""
    return ["/usr/bin/python3", "-B", "/sources/tests/tools/mtas.py", role, *arguments]


class Mta(peers.Peer):
    """A running destination; `where` holds its mail and its log. The port is the caller's (ports.py).
    `more` are settings that Postfix has besides."""

    def __init__(self, name, where, address, port, more=""):
        self.address, self.port = address, port
        self.domain = f"{name}.example"
        super().__init__(name, where, *command(name, address, str(port)), files={"more": more})

    def wait(self):
        """Until it greets."""
        patience.until(lambda: self.ended() or self.greets())
        assert not self.ended(), f"{self.name} ended: {self.logged()}"
        return self

    def greets(self):
        try:
            with socket.create_connection((self.address, self.port), patience.PATIENCE) as s:
                if s.makefile("rb").readline().startswith(b"220 "):
                    s.sendall(b"QUIT\r\n")
                    return True
        except OSError:
            pass
        return False

    def files(self):
        """Those of its mail, whole."""
        return [p for d in ("new", "cur") for p in (self.where / "mail" / "box" / d).glob("*")]

    def stored(self):
        return [p.read_bytes() for p in self.files()]

    def clear(self):
        for path in self.files():
            path.unlink()


if __name__ == "__main__":
    os.umask(0o022)
    write("/etc/resolv.conf", "nameserver 127.0.0.1\n") # where nobody is
    ROLES[sys.argv[1]](*sys.argv[2:])
