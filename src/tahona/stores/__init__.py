"""Where artefacts are kept."""
