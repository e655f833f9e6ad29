"""Run folders -> rows -> cells."""
