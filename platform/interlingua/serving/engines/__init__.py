"""Queues and threads that own the models, joined to a backend."""
