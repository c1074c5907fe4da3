"""What is deployed without modeldb: a model behind FastAPI, in one process of uvicorn. Run as: service.py MODEL.

It is as fast as such a service gets: uvloop and httptools, no access log, a session of one thread, and a handler that
does not leave the event loop. Its first line of output is the port.
"""

from __future__ import annotations

import socket
import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Row(BaseModel):
    """What is asked: the features, in the model's order."""

    features: list[float]


class Score(BaseModel):
    """What is answered: the probability of the positive class."""

    score: float


def application(model: str) -> FastAPI:
    """The service of a classifier's graph with one input."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options)
    name = session.get_inputs()[0].name
    api = FastAPI()

    @api.post("/score")
    async def score(row: Row) -> Score:
        probabilities = session.run(None, {name: np.array([row.features])})[-1]
        return Score(score=probabilities[0, 1])

    return api


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        application(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
