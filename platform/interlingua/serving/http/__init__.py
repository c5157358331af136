"""What every API here is made of: errors, limits, vectors on the wire, access."""
