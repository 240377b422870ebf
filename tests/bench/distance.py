"""Round trips for each message over one connection, 50 ms each way (tests/tools/delay.py).

Destinations are a real Postfix and a fast sink, each once with CHUNKING and once without. Postfix's
own client does the same on the same link, with its connection cache and one connection. A row says
how long it took and how many round trips of 100 ms that is for each message: what a connection
costs at its begin and its end included, which is why the number of messages is named.

DISTANCE_MESSAGES (1000): for Postfix's client a tenth of that, as it takes much longer.
"""
import os
import pathlib
import shutil
import smtplib
import sys
import tempfile
import time

import relaying
import delay # pylint: disable=wrong-import-order
import internet
import mtas

ONE_WAY = 0.05
SIZE = 10240
PORT = 2600
DESTINATION, CLIENT, SINK, LINK = "127.0.0.51", "127.0.0.52", "127.0.0.53", "127.0.0.54"
PLAIN = "127.0.0.55" # clients from here are not offered CHUNKING
DOMAIN = "postfix.example"
PATIENCE = 900 # s

# One connection for all mail, kept as long as it lives, and nothing in between.
SENDER = f"""
myhostname = sender.example
virtual_mailbox_domains =
relay_domains = {DOMAIN}
transport_maps = inline:{{ {DOMAIN}=smtp:[{LINK}]:{PORT} }}
smtp_destination_concurrency_limit = 1
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [{LINK}]:{PORT}
smtp_connection_reuse_count_limit = 0
smtp_connection_reuse_time_limit = {PATIENCE}s
connection_cache_ttl_limit = 60s
smtp_connection_cache_time_limit = 60s
smtp_bind_address = {PLAIN}
"""
RECEIVER = f"smtpd_discard_ehlo_keyword_address_maps = inline:{{ {PLAIN}=chunking }}\n"


def elapsed(begin, arrived, n):
    """Seconds from calling begin until n messages arrived."""
    start = time.monotonic()
    begin()
    assert relaying.until(lambda: arrived() >= n, PATIENCE), f"{arrived()} of {n} arrive"
    return time.monotonic() - start


def by_relay(dns, target, arrived, chunking, n):
    link = delay.Delay(LINK, PORT, target, ONE_WAY, source=None if chunking else PLAIN)
    relay = relaying.Relay(nameserver=f"127.0.0.1:{dns.port}", smtp_port=PORT,
                           allow_destinations="127.0.0.0/8", max_connections=1, max_connections_per_lane=1)
    try:
        relay.fill([f"u@{DOMAIN}"] * n, SIZE)
        took = elapsed(relay.due, arrived, n)
        relaying.until(lambda: not relay.running(), PATIENCE)
        return took, link.connections
    finally:
        relay.close()
        link.close()


def by_postfix(sender, target, arrived, n):
    """Its queue is filled while the link gives no answer, so that only delivery is measured."""
    link = delay.Delay(LINK, PORT, target, ONE_WAY, source=PLAIN)
    try:
        link.shut()
        text = b"Subject: bench\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * (SIZE // 66)
        with smtplib.SMTP(sender.address, sender.port) as c:
            for _ in range(n):
                c.sendmail("a@sender.example", [f"u@{DOMAIN}"], text)
        return elapsed(link.open, arrived, n), link.connections
    finally:
        link.close()


def row(say, name, n, took, connections):
    say(f"{name:<34}{n:>9}{took:>9.1f}{n / took:>9.1f}{took / (2 * ONE_WAY) / n:>13.2f}"
        f"{connections:>13}")


def distance(say, where):
    n = int(os.environ.get("DISTANCE_MESSAGES", "1000"))
    dns = internet.Dns({(DOMAIN, "MX"): [f"10 mx.{DOMAIN}."], (f"mx.{DOMAIN}", "A"): [LINK]})
    started = [mtas.Mta("postfix", where / "receiver", DESTINATION, PORT, RECEIVER),
               mtas.Mta("postfix", where / "sender", CLIENT, PORT, SENDER)]
    receiver, sender = started
    say(f"{'50 ms each way, one connection':<34}{'messages':>9}{'s':>9}{'msgs/s':>9}"
        f"{'round trips':>13}{'connections':>13}")
    try:
        for mta in started:
            mta.wait()
        target = (DESTINATION, PORT)
        for chunking in (False, True):
            how = "CHUNKING" if chunking else "DATA"
            row(say, f"Postern to Postfix, {how}", n,
                *by_relay(dns, target, lambda: len(receiver.files()), chunking, n))
            receiver.clear()
            extra = ("CHUNKING",) if chunking else ()
            sink = internet.Sink(SINK, PORT, ehlo=(*internet.Sink.EHLO, *extra))
            row(say, f"Postern to a sink, {how}", n,
                *by_relay(dns, (SINK, PORT), lambda: len(sink.messages), chunking, n))
            sink.close()
        row(say, "Postfix to Postfix, DATA", n // 10,
            *by_postfix(sender, target, lambda: len(receiver.files()), n // 10))
    finally:
        for mta in started:
            mta.close()
        dns.close()


def main():
    where = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench.", dir="/var/tmp"))
    where.chmod(0o755)
    try:
        distance(lambda line: print(line, flush=True), where)
    finally:
        shutil.rmtree(where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
