"""Checks of what takes the program into production: chart, image, compose file, units, rules, dashboard."""
