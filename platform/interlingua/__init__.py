"""Interlingua: natural language autoencoders, from activations to text and back."""
