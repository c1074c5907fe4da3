"""The worker as a process."""

from __future__ import annotations

import signal

from modeldb.worker.leader import Worker

SIGNALS = {signal.SIGTERM, signal.SIGINT}


def serve(worker: Worker) -> bool:
    """Run a worker until SIGTERM or SIGINT; whether it was one of them that ended it.

    The signals are blocked, in all threads that start from here, and looked for, so that none interrupts anything. To be
    called in the main thread. Raises what Worker.start() raises.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    worker.start()
    told = False
    while not told and worker.running():
        worker.join(0.2)
        told = bool(signal.sigpending() & SIGNALS)
    worker.stop()
    return told
