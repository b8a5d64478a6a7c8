"""Schemas that authors declare, as JSON Schemas or classes of many packages, and endpoints."""
