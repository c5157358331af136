"""What may be spent on answers, and what was. Knows no request."""

from interlingua.sources.teachers.chat_answer import Usage
from interlingua.specs.placement import TeachingPlacement

PRICED_TOKENS = 1_000_000


class Budget:
    """The tokens and dollars of a placement."""

    def __init__(self, place: TeachingPlacement) -> None:
        self._place = place

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to keep to."""
        return self._place.max_tokens is not None or self._place.max_dollars is not None

    def dollars(self, usage: Usage) -> float:
        """The price of these tokens; 0 where no prices are named."""
        place = self._place
        prices = place.prompt_price or 0.0, place.answer_price or 0.0
        return (usage.prompt * prices[0] + usage.answer * prices[1]) / PRICED_TOKENS

    def excess(self, spent: Usage, worst: Usage) -> str | None:
        """Which limit another request might exceed; None where it fits."""
        together, place = spent.plus(worst), self._place
        if place.max_tokens is not None and together.total > place.max_tokens:
            return "max_tokens"
        if place.max_dollars is not None and self.dollars(together) > place.max_dollars:
            return "max_dollars"
        return None

    def stop_line(self, limit: str, spent: Usage, worst: Usage, num_answers: int) -> str:
        """What was spent, what is there for it, and how to go on."""
        money = f" ({self.dollars(spent):.4f} dollars)" if self._has_prices() else ""
        return (
            f"the budget is spent: {spent.total} tokens{money} are paid or in flight, the next "
            f"request may take {worst.total} more, and placement.teaching.{limit} is "
            f"{getattr(self._place, limit)}; {num_answers} rows have answers, which are not paid "
            f"again: raise it with --set placement.teaching.{limit}=... and run the same command"
        )

    def _has_prices(self) -> bool:
        return self._place.prompt_price is not None or self._place.answer_price is not None
