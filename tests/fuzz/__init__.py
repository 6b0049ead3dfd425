"""Bytes that a fuzzer invents, led by what code they reach."""
