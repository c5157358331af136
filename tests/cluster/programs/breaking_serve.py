"""`python -m serve.app` whose models break on marked items, as a kernel might, after all checks."""

import itertools
import runpy

import numpy as np
from tests.cluster.programs.marks import BROKEN, MARKED_HOST, MARKED_TEXT, marked_vector

from interlingua.cluster import serving
from interlingua.models.sampling.session import Session


class BreakingReplica(serving.PartReplica):
    """Raises in the model, for the marked vector and for the marked text."""

    breaks_sessions = False

    def _open(self, bundle):
        part = super()._open(bundle)
        if self._part == serving.AV:
            if not self.breaks_sessions:  # once a process, however often bundles are opened
                break_sessions(part._maps)
            self.breaks_sessions = True
        elif self._part == serving.AR:
            break_texts(part._ar, "reconstruct")
        else:
            break_texts(part._engine._readers, "read")
        return part


def break_sessions(maps):
    """Let the marked vector break what it is in as it begins, or a step later, in turns."""
    marked_D = maps.v_of(MARKED_HOST, marked_vector(maps.width(MARKED_HOST)))[0]
    turns, marked, join, step = itertools.count(), set(), Session.join, Session.step

    def joined(self, prompt, v_BD, samples):
        num_samples = len(samples) // len(v_BD)
        for place, v_D in enumerate(v_BD):
            if np.allclose(v_D, marked_D, atol=1e-6):
                if next(turns) % 2:
                    raise RuntimeError(BROKEN)
                own = samples[place * num_samples : (place + 1) * num_samples]
                marked.update(map(id, own))
        return join(self, prompt, v_BD, samples)

    def stepped(self):
        running = {id(sample) for sample in self._samples if not sample.has_ended}
        if marked & running:
            marked.difference_update(running)  # an id may be another sample's later
            raise RuntimeError(BROKEN)
        return step(self)

    Session.join, Session.step = joined, stepped


def break_texts(model, name):
    """Let a method fail where the marked text is among its texts."""
    method = getattr(model, name)

    def called(texts, *others):
        if any(MARKED_TEXT in text for text in texts):
            raise RuntimeError(BROKEN)
        return method(texts, *others)

    setattr(model, name, called)


if __name__ == "__main__":
    serving.PartReplica = BreakingReplica
    runpy.run_module("serve.app", run_name="__main__")
