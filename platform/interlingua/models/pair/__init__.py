"""The AV and the AR: trunk, prompt, injection, head."""
