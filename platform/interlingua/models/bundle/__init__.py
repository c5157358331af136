"""A bundle opened: its models, maps and hosts, and what people call on it."""
