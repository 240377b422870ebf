"""A UNIX socket as postern-local.socket is one, and sendmail to speak with it."""
import contextlib
import os
import select
import socket
import subprocess
import threading

from patience import PATIENCE as SECONDS, until


class Local:
    """A socket for everybody; each connection gets an smtpd -p local of its own."""

    def __init__(self, postern, **settings):
        self.postern = postern
        self.path = postern.where / "local"
        self.settings = {"max_connections": 0, **settings}
        self.aliases = postern.where / "aliases"
        self.mailname = postern.where / "mailname"
        self.mailname.write_text("site.example\n")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)
        self.listener.listen(100)
        self.accepted = self.served = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            with connection:
                self.serve(connection)
            self.served += 1

    def serve(self, connection):
        self.postern.start(connection, connection, "smtpd", "-p", "local", **self.settings)

    def close(self):
        with contextlib.suppress(OSError): # it was before
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(SECONDS)
        self.listener.close()

    def rest(self):
        """Until every smtpd that was started has ended. Whose client has heard from it may be new to us."""
        until(lambda: self.served == self.accepted)
        for p in list(self.postern.started):
            p.wait(SECONDS)

    def finish(self):
        """Until who has connected was served, and every smtpd has ended; then nobody is served any more."""
        until(lambda: not select.select([self.listener], [], [], 0)[0])
        self.close()
        self.rest()

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("POSTERN_")}
        return kept | {"POSTERN_SOCKET": str(self.path), "POSTERN_ALIASES": str(self.aliases),
                       "POSTERN_MAILNAME": str(self.mailname)} | more

    def command(self, *words, user=None):
        drop = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return [*drop, str(self.postern.build / "sendmail"), *words]

    def sendmail(self, *words, text="Subject: x\n\nhello\n", user=None, status=0, **more):
        """What it says; it must end with this status."""
        done = subprocess.run(self.command(*words, user=user), input=text if isinstance(text, bytes) else text.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
                              env=self.environment(**more), cwd="/")
        said = done.stdout.decode(errors="replace")
        assert done.returncode == status, (done.returncode, said, self.postern.logged())
        return said
