"""The models that are read: opened, cut, tapped at a block."""
