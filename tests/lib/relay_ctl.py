"""Says one command to perche-relay and prints its answer: relay_ctl.py SOCKET COMMAND [ARGUMENT ...].

The relay makes its socket at its start: a first call waits for it, 5 s at most."""
import socket
import sys
import time

end = time.monotonic() + 5
while True:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    try:
        s.connect(sys.argv[1])
        break
    except (FileNotFoundError, ConnectionRefusedError):
        if time.monotonic() > end:
            sys.exit("the relay does not answer at " + sys.argv[1])
s.sendall((" ".join(sys.argv[2:]) + "\n").encode())
answer = s.makefile().readline().strip()
print(answer)
sys.exit(0 if '"ok":true' in answer.replace(" ", "") or '"error"' not in answer else 1)
