import numpy as np

from interlingua.core.geometry import rescale
from interlingua.core.maps import Decoder, Encoder


def test_an_encoder_is_linear_in_what_is_left_of_the_mean():
    rng = np.random.default_rng(0)
    encoder = Encoder(weight_ED=rng.normal(size=(3, 4)), mean_D=rng.normal(size=4))
    n_ND = rescale(rng.normal(size=(5, 4)))
    expected_E = encoder.weight_ED @ (n_ND[0] - encoder.mean_D)
    np.testing.assert_allclose(encoder(n_ND)[0], expected_E)


def test_a_decoder_is_the_affine_map_of_the_method():
    rng = np.random.default_rng(0)
    decoder = Decoder(
        weight_DE=rng.normal(size=(4, 3)), centre_E=rng.normal(size=3), mean_D=rng.normal(size=4)
    )
    a_NE = rescale(rng.normal(size=(5, 3)))
    a_NE[2] = np.nan
    found_ND = decoder(a_NE)
    expected_D = decoder.mean_D + decoder.weight_DE @ (a_NE[0] - decoder.centre_E)
    np.testing.assert_allclose(found_ND[0], expected_D)
    np.testing.assert_array_equal(found_ND[2], decoder.mean_D)
