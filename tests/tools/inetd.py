"""inetd.py ADDRESS:PORT PROGRAM [ARGUMENT...]: runs the program for each connection, as inetd does.

For hosts without systemd-socket-activate. The connection is standard input and output; standard
error is ours, not the client's.
"""
import socket
import subprocess
import sys

MOST = 100 # at once


def main():
    address, _, port = sys.argv[1].rpartition(":")
    running = []
    with socket.create_server((address.strip("[]"), int(port)), backlog=MOST,
                              family=socket.AF_INET6 if "[" in address else socket.AF_INET) as s:
        while True:
            running = [p for p in running if p.poll() is None]
            if len(running) >= MOST:
                running.pop(0).wait()
            connection, _ = s.accept()
            with connection:
                running.append(subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
