"""How fast detectors run on this machine: models x runtimes x sizes x batches, in alternation. See docs/benchmark.md.

`run.benchmark` measures in processes of their own (`worker`), `report.write_report` writes the figures. This module
imports nothing, so that a process that only opens an exported file stays as small as it is for its users.
"""
