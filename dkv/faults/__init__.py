"""Faults that a node inflicts on itself when it is told to: on its links, its clocks, its disk, at named points.

Only for tests: nothing here exists in a node that was not started with ``--fault-port``. Each seam takes its part of
``Faults`` as an argument, and None there means the plain thing at no cost.
"""
