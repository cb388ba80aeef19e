"""REMEMBERS: values, time rules, documents, MongoDB."""
