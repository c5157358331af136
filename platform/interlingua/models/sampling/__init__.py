"""Drawing texts: sessions that rows join and leave, cache, ending."""
