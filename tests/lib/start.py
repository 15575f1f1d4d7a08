"""Starts a daemon in the background and returns when it has said READY=1, as systemd would see it.

start.py READY_SOCKET LOG PROGRAM [ARGUMENT ...]: prints the process id. Exit 1 if it ended or said nothing in 20 s."""
import os
import select
import socket
import subprocess
import sys
import time

path, log = sys.argv[1], sys.argv[2]
if os.path.exists(path):
    os.unlink(path)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
p = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL, stdout=open(log, "ab"), stderr=subprocess.STDOUT,
                     env=dict(os.environ, NOTIFY_SOCKET=path), start_new_session=True)
end = time.monotonic() + 20
pidfd = os.pidfd_open(p.pid)
while time.monotonic() < end:
    ready, _, _ = select.select([s, pidfd], [], [], end - time.monotonic())
    if s in ready and b"READY=1" in s.recv(4096):
        print(p.pid, flush=True)
        sys.exit(0)
    if pidfd in ready:
        break
p.kill()
sys.exit(1)
