"""What `postern` says, as the user of the programs."""
import json
import subprocess

import patience


def ask(postern, *words, **settings):
    """A command: (status, its text, standard error)."""
    p = subprocess.run(postern.command("postern", *words, **settings), capture_output=True, check=False,
                       env=postern.environment() | {"LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL,
                       timeout=patience.PATIENCE)
    text = p.stdout.decode()
    assert "\x1b" not in text and "\r" not in text, "nothing moves the cursor"
    return p.returncode, text, p.stderr.decode()


def ask_json(postern, *words, **settings):
    """The same with --json: (status, the objects)."""
    status, text, trouble = ask(postern, *words, "--json", **settings)
    assert trouble == "", trouble
    return status, [json.loads(line) for line in text.splitlines()]
