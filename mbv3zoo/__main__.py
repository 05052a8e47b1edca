"""`python -m mbv3zoo`, as `accelerate launch -m` and `torchrun -m` need it."""

from mbv3zoo.cli.main import main

main()
