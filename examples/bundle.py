"""A trained NLA in ten lines: `python examples/bundle.py runs/bundle/demo-rl-*`.

Explains what the hosts of a bundle carry of a text, and says how much of it comes back. No Ray.
"""

import sys

from interlingua.models.nla import NLA

TEXT = "dear friend, the farmer happily carried a basket. there was rain."

nla = NLA.load(sys.argv[1])
for host in nla.manifest.hosts:
    trip = nla.round_trip(TEXT, host)
    print(f"{host}: {trip.verbalization.explanation!r}, cosine {trip.cosine:.2f}")
