"""Tollgate in a real Envoy: the demo, the replay of recorded traffic, and the tests."""
