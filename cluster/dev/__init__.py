"""Everything on one machine: real servers from wheels, supervised processes, the stack of ``horarium dev``."""
