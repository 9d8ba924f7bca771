"""llama.cpp's server with a small model, as a process that can be killed by `local_models.py`.

    python local_server.py MODEL PORT N_SLOTS N_CONTEXT

Requires `xllamacpp`. The context is divided among the slots: each has `N_CONTEXT` tokens.
"""

import signal
import sys

import xllamacpp


def main():
    """Serve until killed."""
    model, port, n_slots, n_context = sys.argv[1], *map(int, sys.argv[2:])
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"gemma-3-270m"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = n_slots
    params.n_ctx = n_slots * n_context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = (
        1  # more threads wait for each other
    )
    params.swa_full = True  # else a sliding-window model rereads the system prompt each time
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
