"""Forms of a model run by Transformers.js: in Node, and in a browser."""
