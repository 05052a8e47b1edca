"""What runs an exported file: one module a runtime, one face."""

from mbv3zoo.runtimes.table import RUNTIMES, installed_runtimes, open_session, runtimes_for

__all__ = ['RUNTIMES', 'installed_runtimes', 'open_session', 'runtimes_for']
