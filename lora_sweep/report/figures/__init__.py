"""The report's pictures: tables and records in, matplotlib figures out; nothing is computed."""
