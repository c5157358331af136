"""The platform's own API over a backend, and its app."""
