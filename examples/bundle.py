"""A trained NLA in ten lines: `python examples/bundle.py runs/bundle/demo-rl-*`.

Explains what the hosts of a bundle carry of a text, and says how much of it comes back. No Ray.
"""

import sys

from interlingua import NLA

TEXT = (
    "report from Velsk, filed by Lena the guard. the guard in polished armour saluting with broad "
    "smiles moored the merry ship off salted decks with the drum covered with goat hide at the "
    "dancing quay lanterns."
)

nla = NLA.load(sys.argv[1])
for host in nla.hosts:
    trip = nla.round_trip(TEXT, host)
    unlike = ", unlike what it learned from" if trip.verbalization.is_unlike else ""
    print(f"{host}: {trip.verbalization.explanation!r}, cosine {trip.cosine:.2f}{unlike}")
