"""The far side of the demo: a zone with three exchangers, and a sink that writes files."""
import pathlib
import signal
import sys

import internet
import nsd
import patience

ZONE = {
    ("dest.example", "MX"): ["10 dead.dest.example.", "20 mail.dest.example.",
                             "30 spare.dest.example."],
    ("dead.dest.example", "A"): ["127.0.0.3"],
    ("mail.dest.example", "A"): ["127.0.0.2"],
    ("spare.dest.example", "A"): ["127.0.0.4"],
}


def put(path, text):
    """The file is there with all its text, or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


def serve(where):
    """Writes what arrives, the first two messages; ends when it is told to, or after two minutes."""
    sink = internet.Sink("127.0.0.2", 25)
    for n, name in enumerate(["arrived", "arrived2"]):
        patience.until(lambda n=n: len(sink.messages) > n, 2 * patience.PATIENCE)
        m = sink.messages[n]
        put(where / name, f"from <{m.sender}> to {m.recipients}\n\n" +
            m.data.decode().replace("\r\n", "\n") + "\n")
    patience.hold(2 * patience.PATIENCE)


def main():
    where = pathlib.Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    real = nsd.program() is not None
    dns = nsd.Nsd(where / "nsd", ZONE, port=53) if real else internet.Dns(ZONE, port=53)
    try:
        head = ["; served by NSD" if real else "; served by tests/tools/internet.py"]
        lines = [f"{name} {kind} {text}" for (name, kind), texts in ZONE.items()
                 for text in texts]
        put(where / "zone", "\n".join(head + lines) + "\n")
        serve(where)
    finally:
        dns.close()


main()
