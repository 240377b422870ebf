"""The far side of the demo: a zone with two exchangers, and a sink that writes files."""
import pathlib
import sys
import time

import internet

ZONE = {
    ("dest.example", "MX"): ["10 dead.dest.example.", "20 mail.dest.example."],
    ("dead.dest.example", "A"): ["127.0.0.3"],
    ("mail.dest.example", "A"): ["127.0.0.2"],
}


def main():
    where = pathlib.Path(sys.argv[1])
    internet.Dns(ZONE, "127.0.0.1", 53)
    sink = internet.Sink("127.0.0.2", 25)
    lines = [f"{name} {kind} {text}" for (name, kind), texts in ZONE.items() for text in texts]
    (where / "zone").write_text("\n".join(lines) + "\n")
    names = iter(["arrived", "arrived2"])
    done = 0
    for _ in range(1200):
        while done < len(sink.messages):
            m = sink.messages[done]
            done += 1
            text = f"from <{m.sender}> to {m.recipients}\n\n" + m.data.decode() + "\n"
            (where / next(names)).write_text(text)
        if done == 2:
            break
        time.sleep(0.1)


main()
