"""Records, keys, specs, registries, errors; imports the standard library, pydantic and YAML only."""
