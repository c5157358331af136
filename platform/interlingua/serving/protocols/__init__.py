"""The protocols of other clients over the same backends: Neuronpedia, SGLang, vLLM."""
