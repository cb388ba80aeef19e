"""The command line: thin over ``cluster.operations``.  Nothing heavy is imported before a command runs."""
