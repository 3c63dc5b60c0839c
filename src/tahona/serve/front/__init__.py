"""What a worker is made of: no import here reaches pandas, scikit-learn, pydantic or FastAPI."""
