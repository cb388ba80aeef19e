"""What people and programs can ask for, in one place: the command line and every other front door are thin over it.

Each operation takes the store and plain values, checks everything it is given, and returns a frozen value whose JSON
form is a contract (``cluster.operations.views``).
"""
