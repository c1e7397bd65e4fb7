"""From problems to chains: served models, fork-join decoding, the journal, conversion to training form."""
