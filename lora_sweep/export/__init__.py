"""Exports of a finished run: a PEFT adapter, a merged model, or our own few matrices."""
