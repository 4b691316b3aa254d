"""Steps from one schema to the next, shipped with the package."""
