"""What schemathesis makes of the OpenAPI is answered, or refused as it should be: never a 500.

`tests/full/test_serving_soak.py` goes on for minutes.
"""

import pytest
from tests.serving.schema_fuzz import fuzz

pytestmark = pytest.mark.slow

SECONDS = 10.0


def test_no_request_that_the_schema_has_or_forbids_is_a_500(backend):
    fuzz(backend, SECONDS)
