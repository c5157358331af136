"""An NLA behind HTTP: engines that own the models, and the protocols that clients speak."""
