"""What `serving.py` is made of: the model, the servers, the client that asks them, and what they cost."""
