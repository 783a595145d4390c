"""Benchmarks of the recogniser: beside others, with its second reader, and against claims made for such systems."""
