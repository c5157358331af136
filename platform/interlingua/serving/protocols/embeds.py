"""Input embeddings over HTTP: what clients of SGLang and vLLM send to them, sent here."""

from fastapi import APIRouter

from interlingua.serving.protocols import sglang, vllm

router = APIRouter()
router.include_router(sglang.router)
router.include_router(vllm.router)
