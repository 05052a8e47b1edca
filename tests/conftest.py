"""How the suite runs."""

import os

# One process a core, so one thread each: torch's threads of two processes on two cores wait for each other. Set before
# torch is imported, and for the programs that tests start.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
