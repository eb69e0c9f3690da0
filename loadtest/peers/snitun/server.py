"""A SniTun server as it comes: an accepting process and two workers per core. `peers snitun` starts it.

Says its port and the key of its tokens when it listens; ends, with its workers, when standard input does.
"""

import os
import signal
import socket
import sys

from cryptography.fernet import Fernet
from snitun.server.run import SniTunServerWorker


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    key = Fernet.generate_key().decode()
    SniTunServerWorker([key], host="127.0.0.1", port=port).start()
    print(port, key, flush=True)
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


# Workers import this file again.
if __name__ == "__main__":
    main()
