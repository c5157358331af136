"""All protocols at one address: of the default bundle, and of each under `/bundles/NAME/`."""

from fastapi import APIRouter, Depends

from interlingua.serving.protocols import embeds, neuronpedia, neuronpedia_public
from interlingua.serving.protocols.shared import declared_bundle

OF_A_BUNDLE = "/bundles/{bundle}"


def every_router() -> list[APIRouter]:
    """Routers for an app whose `state.backends` holds the backends by name."""
    protocols = [neuronpedia.router, neuronpedia_public.router, embeds.router]
    of_a_bundle = APIRouter(prefix=OF_A_BUNDLE, dependencies=[Depends(declared_bundle)])
    for protocol in protocols:
        of_a_bundle.include_router(protocol)
    return [*protocols, of_a_bundle]
