"""Postfix, on a host that tests/tools/overlay made.

postfix.py MAIN_CF SENDER RECIPIENT: Postfix with this main.cf that sends what is on standard input,
listens nowhere, and runs until it is killed.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ETC = pathlib.Path("/etc/postfix")
SHARE = pathlib.Path("/usr/share/postfix")


def configure(main_cf, edit):
    """Writes its configuration. `edit` is told Debian's master.cf and returns what to make of it."""
    (ETC / "main.cf").write_text(main_cf)
    # y in the fifth column: chroot, for which nothing is prepared here.
    text = re.sub(r"^(\w+ +\w+(?: +\S+){2} +)y ", r"\1n ", (SHARE / "master.cf.dist").read_text(),
                  flags=re.M)
    (ETC / "master.cf").write_text(edit(text))
    shutil.copy(SHARE / "dynamicmaps.cf", ETC)
    shutil.chown("/var/lib/postfix", "postfix")
    for program in ("postqueue", "postdrop"): # dpkg -x knows no group of ours
        shutil.chown(f"/usr/sbin/{program}", group="postdrop")
        os.chmod(f"/usr/sbin/{program}", 0o2755)


def main():
    main_cf, sender, recipient = sys.argv[1:]
    configure(pathlib.Path(main_cf).read_text(),
              lambda services: re.sub(r"^smtp +inet.*\n", "", services, flags=re.M))
    subprocess.run(["postfix", "check"], check=True) # makes the queue
    subprocess.run(["sendmail", "-i", "-f", sender, recipient], check=True)
    os.execvp("postfix", ["postfix", "start-fg"])


if __name__ == "__main__":
    main()
