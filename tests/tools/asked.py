"""What `postern` says, as the user of the programs."""
import json
import pathlib
import re
import subprocess

import patience

TABLE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "JSON.md"


def ask(postern, *words, **settings):
    """A command: (status, its text, standard error)."""
    p = subprocess.run(postern.command("postern", *words, **settings), capture_output=True, check=False,
                       env=postern.environment() | {"LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL,
                       timeout=patience.PATIENCE)
    text = p.stdout.decode()
    assert "\x1b" not in text and "\r" not in text, "nothing moves the cursor"
    return p.returncode, text, p.stderr.decode()


def documented(command):
    """The fields that docs/JSON.md has of it."""
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \| ([^|]*) \|$", TABLE.read_text(), re.M)
    return {name for commands, fields, words in rows if f"`{command}`" in commands
            for name in re.findall(r"`(\w+)`", fields + words)}


def fields_of(value):
    """All names of fields, however deep."""
    if isinstance(value, list):
        return {name for item in value for name in fields_of(item)}
    return set(value) | {n for v in value.values() for n in fields_of(v)} if isinstance(value, dict) else set()


def ask_json(postern, *words, **settings):
    """The same with --json: (status, the objects)."""
    status, text, trouble = ask(postern, *words, "--json", **settings)
    assert trouble == "", trouble
    found = [json.loads(line) for line in text.splitlines()]
    assert fields_of(found) <= documented(words[0]), "each field is in docs/JSON.md"
    return status, found
