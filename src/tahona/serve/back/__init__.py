"""Every route but the fast one, as a FastAPI application."""
