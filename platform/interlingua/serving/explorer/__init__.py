"""The explorer: the page in which explanations are judged by eye, and what it asks."""
