"""The worker as a process."""

from __future__ import annotations

import signal

from modeldb.worker.leader import Worker

LOOK_SECONDS = 0.2


def serve(worker: Worker) -> bool:
    """Run a worker until SIGTERM or SIGINT; whether it was one of them that ended it.

    A handler only takes note: Python may run it in the middle of anything that this thread does. To be called in the
    main thread. Raises what Worker.start() raises.
    """
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: told.append(received))
    worker.start()
    while not told and worker.running():
        worker.join(LOOK_SECONDS)
    worker.stop()
    return bool(told)
