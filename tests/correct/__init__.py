"""Servers that do everything right, so that halfopen must not find fault with them."""
