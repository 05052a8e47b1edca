"""The program `mbv3zoo`."""
