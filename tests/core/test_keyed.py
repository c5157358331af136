from interlingua.core.keyed import seed_of

GOLDEN = {(0, 0, 0): 485108598, (0, 1, 0): 1429757582, ("av", 3): 1524640038}


def test_seeds_are_what_they_always_were():
    assert {parts: seed_of(*parts) for parts in GOLDEN} == GOLDEN


def test_every_part_and_its_place_count_and_31_bits_are_used():
    seeds = {seed_of(*parts) for parts in ((1, 2), (2, 1), (12,), (1, 2, 0), ("1", "2", "a"))}
    assert len(seeds) == 5
    drawn = [seed_of("step", step) for step in range(2000)]
    assert max(drawn) < 2**31
    assert len(set(drawn)) == 2000 and max(drawn) > 0.99 * 2**31
