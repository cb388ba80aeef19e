"""DECIDES: whose turn, what is owed, hand it over; command line and dev mode."""
