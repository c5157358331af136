"""An NLA behind a URL, from the side of those who ask."""
